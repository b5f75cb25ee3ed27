#include "server/plan_routes.h"

#include <utility>

#include "api/common/error.h"
#include "core/base/log.h"
#include "formats/json/json.h"

namespace hearth::server {
namespace {

using Writer = std::shared_ptr<http::ResponseWriter>;

// The field a refusal is about begins its message.
std::string blamed(const planner::Fields& fields, const std::string& message) {
  const size_t colon = message.find(':');
  const std::string name = message.substr(0, colon == message.npos ? 0 : colon);
  return fields.contains(name) || name == "model" ? name : "";
}

http::HttpResponse reply_to(const planner::Fields& fields, const planner::Desk& desk) try {
  const Result<Value> made = planner::answer(fields, desk);
  if (!made) {
    return http::error_response(api::to_api_error(made.error(), blamed(fields, made.error().message())));
  }
  http::HttpResponse out;
  out.body = json::write(*made);
  return out;
} catch (const Error& error) {
  log::error("a plan failed: {}", error.message());
  return http::error_response(api::to_api_error(error));
} catch (const std::exception& error) {
  log::error("a plan failed: {}", error.what());
  return http::error_response(api::http_error(500, "the server failed on this request"));
}

}  // namespace

std::vector<http::Route> PlanRoutes::routes() {
  return {{"GET", "/plan", "what a model would need here, and how fast it could be at best", false,
           [this](const http::HttpRequest& request, Writer writer) {
             const bool is_taken =
                 pool_.post([this, writer, fields = http::query_values(request.query)] {
                   if (!writer->is_aborted()) writer->respond(reply_to(fields, desk_));
                 });
             if (!is_taken) writer->respond(http::error_response(api::http_error(503, "too many plans wait")));
           }}};
}

}  // namespace hearth::server
