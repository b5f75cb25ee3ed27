#include "server/comfy_service.h"

#include "api/comfy/frames.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "formats/json/json.h"
#include "server/files/contained_path.h"

namespace hearth::server {
namespace {

websocket::Message log_message(const Value& entry) {
  Value entries = Value::list();
  entries.push(entry);
  return websocket::text_message(comfy::text_frame("logs", Value::object({{"entries", std::move(entries)}})));
}

}  // namespace

ComfyService::ComfyService(const ComfyOptions& options)
    : backend_(*options.backend), hub_(comfy::server_features(options.max_upload_bytes)),
      logs_([this](const Value& entry) { hub_.send_logs(log_message(entry)); }), events_(hub_, logs_),
      user_(options.user_folder), queue_(options.database, backend_, waiters_),
      parts_{backend_, queue_, hub_, logs_, uploads_, user_, files_, options.max_upload_bytes, options.frontend,
             json::write(options.presets)} {
  hub_.set_remaining(queue_.remaining());
  // A frontend lists these at its start and complains when they are not there.
  for (const char* folder : {"workflows", "subgraphs"}) make_folders(options.user_folder / folder).value();
  empty_temp();
}

ComfyService::~ComfyService() {
  queue_.stop();
  empty_temp();
}

// Pictures that were shown but not saved. A folder that holds more than that is left alone.
void ComfyService::empty_temp() const {
  const workflow::Places& places = backend_.places();
  if (places.temp.empty() || places.temp == places.output || places.temp == places.input) return;
  if (fs::path(places.temp).filename() != "temp") return;
  std::error_code failure;
  for (fs::directory_iterator entry(places.temp, failure), end; !failure && entry != end; entry.increment(failure)) {
    std::error_code ignored;
    fs::remove_all(entry->path(), ignored);
  }
}

std::vector<http::Route> ComfyService::routes() {
  RouteList routes(parts_.max_upload_bytes);
  add_queue_routes(routes, parts_);
  add_file_routes(routes, parts_);
  add_model_routes(routes, parts_);
  add_system_routes(routes, parts_);
  add_user_routes(routes, parts_);
  add_image_routes(routes, parts_, waiters_);
  if (!parts_.frontend.empty()) add_frontend_routes(routes, parts_);
  return routes.take();
}

}  // namespace hearth::server
