// POST /v1/images/generations: the words become a prompt graph, which waits in the same queue as every other; the
// answer comes when it has ended. A client that leaves takes its job along.
#include <algorithm>
#include <random>

#include <fmt/format.h>

#include "api/common/error.h"
#include "api/openai/images.h"
#include "core/base/base64.h"
#include "core/base/check.h"
#include "core/base/files.h"
#include "formats/image/picture.h"
#include "formats/json/json.h"
#include "server/clock.h"
#include "server/comfy_routes.h"
#include "server/job_waiters.h"
#include "server/unknown_fields.h"
#include "server/uuid.h"

namespace hearth::server {
namespace {

constexpr int64_t kMaxPictureBytes = int64_t{256} << 20;

void refuse(const Writer& writer, const Error& error, const std::string& param = "") {
  writer->respond(http::error_response(api::to_api_error(error, param)));
}

std::string escaped(std::string_view text) {
  std::string out;
  for (unsigned char c : text) {
    const bool is_plain = std::isalnum(c) || c == '-' || c == '_' || c == '.' || c == '~' || c == '/';
    out += is_plain ? std::string(1, static_cast<char>(c)) : fmt::format("%{:02X}", c);
  }
  return out;
}

// The picture's file as the client wants it.
std::string in_format(std::string png, const openai::ImageCall& call) {
  if (call.format == "png") return png;
  const image::Picture picture = image::decode(png).picture;
  if (call.format == "jpeg") return image::encode_jpeg(picture, static_cast<int>(call.quality));
  return image::encode_webp(picture, {.quality = static_cast<float>(call.quality)});
}

std::vector<openai::ImageItem> read_images(const Value& outputs, const openai::ImageCall& call,
                                           const workflow::Places& places) {
  std::vector<openai::ImageItem> items;
  for (const auto& [node, ui] : outputs.as_object()) {
    const Value* images = ui.find("images");
    for (size_t i = 0; images && i < images->as_list().size(); ++i) {
      const Value& image = images->as_list()[i];
      const std::string name = image.at("filename").as_string(), subfolder = image.at("subfolder").as_string();
      const std::string type = image.at("type").as_string();
      openai::ImageItem& item = items.emplace_back();
      if (call.wants_url) {
        item.url = fmt::format("/view?filename={}&subfolder={}&type={}", escaped(name), escaped(subfolder), type);
        continue;
      }
      const std::string* folder = places.folder(type);
      check(folder != nullptr, "a finished picture lies in a known folder");
      item.base64 = to_base64(
          in_format(read_text(fs::path(*folder) / subfolder / name, kMaxPictureBytes).value(), call));
    }
  }
  return items;
}

// Why a job ended without pictures.
Error failure_of(const Value& status) {
  for (const Value& message : status.at("messages").as_list()) {
    const Value::List& pair = message.as_list();
    if (pair.at(0).as_string() == "execution_interrupted") return Error(Code::kCancelled, "the job was interrupted");
    if (pair.at(0).as_string() == "execution_error") {
      std::string text = pair.at(1).at("exception_message").as_string();
      while (!text.empty() && text.back() == '\n') text.pop_back();
      const Value* details = pair.at(1).find("details");
      if (!details) return Error(Code::kInternal, text);
      return Error(Code::kNoMemory, text).with(std::make_shared<const Value>(*details));
    }
  }
  return Error(Code::kInternal, "the job ended without a reason");
}

http::HttpResponse reply_of(const std::string& history, const std::string& id, const openai::ImageCall& call,
                            uint64_t seed, const workflow::Places& places) {
  const Value entries = json::parse(history).value();
  const Value* entry = entries.find(id);
  if (!entry) {
    return http::error_response(api::to_api_error(Error(Code::kCancelled, "the job was removed from the queue")));
  }
  const Value& status = entry->at("status");
  if (status.at("status_str").as_string() != "success") {
    return http::error_response(api::to_api_error(failure_of(status)));
  }
  return json_reply(openai::image_reply(unix_ms() / 1000, read_images(entry->at("outputs"), call, places), seed));
}

std::string problem_of(const workflow::Verdict& verdict) {
  for (const auto& [id, node] : verdict.node_errors.as_object()) {
    for (const Value& error : node.at("errors").as_list()) {
      return error.at("message").as_string() + ": " + error.at("details").as_string();
    }
  }
  return verdict.error.at("message").as_string();
}

struct Waiting {
  openai::ImageCall call;
  uint64_t seed = 0;
  std::string id;
  Writer writer;
};

void answer_when_ended(ComfyParts& parts, JobWaiters& waiters, const std::shared_ptr<Waiting>& job) {
  waiters.wait_for(job->id, [&parts, job] {
    parts.queue.view([id = job->id](JobViews& views) { return views.history_of(id); },
                     [&parts, job](Result<std::string> history) {
                       answer_from_pool(parts, job->writer, [&parts, job, history = std::move(history)] {
                         if (!history) return http::error_response(api::to_api_error(history.error()));
                         return reply_of(*history, job->id, job->call, job->seed, parts.backend.places());
                       });
                     });
  });
  job->writer->on_abort([&parts, &waiters, id = job->id](http::AbortReason) {
    waiters.forget(id);
    parts.queue.cancel({id}, [](Result<bool>) {});
  });
}

// On the host pool: reading headers of models for their size.
void submit(ComfyParts& parts, JobWaiters& waiters, const std::shared_ptr<Waiting>& job) try {
  parts.backend.admit().value();
  Value prompt = parts.backend.compose(job->call, job->seed);
  const workflow::Verdict verdict = parts.backend.check(prompt, std::nullopt);
  if (!verdict.is_valid) return refuse(job->writer, Error(Code::kInvalidArgument, problem_of(verdict)));
  NewJob made;
  made.id = job->id;
  made.created_ms = unix_ms();
  Value extra = Value::object({{"create_time", made.created_ms}});
  made.item = comfy::item_texts(prompt, extra, verdict.outputs);
  answer_when_ended(parts, waiters, job);
  parts.queue.accept(std::move(made), Value(), [&waiters, job](Result<double> number) {
    if (number) return;
    waiters.forget(job->id);
    refuse(job->writer, number.error());
  });
} catch (const Error& error) {
  refuse(job->writer, error);
}

}  // namespace

void add_image_routes(RouteList& routes, ComfyParts& parts, JobWaiters& waiters) {
  routes.add_single("POST", "/v1/images/generations", "draws pictures from words",
                    [&parts, &waiters, unknown = std::make_shared<UnknownFields>()](const http::HttpRequest& request,
                                                                                    Writer writer) {
    api::ParseNotes notes;
    Result<openai::ImageCall> call = openai::parse_image_call(request.body, notes);
    unknown->note(request.id, notes.unknown_fields);
    if (!call) return refuse(writer, call.error(), notes.param);
    auto job = std::make_shared<Waiting>();
    job->call = *std::move(call);
    job->seed = job->call.seed.value_or(std::random_device()());
    job->id = make_uuid();
    job->writer = writer;
    const bool is_taken = parts.files.post([&parts, &waiters, job] { submit(parts, waiters, job); });
    if (!is_taken) refuse(writer, Error(Code::kBusy, "too many requests wait for the disk: try again later"));
  });
}

}  // namespace hearth::server
