#include "server/plan_routes.h"

#include <utility>

#include "api/common/error.h"
#include "core/base/log.h"
#include "formats/json/json.h"

namespace hearth::server {
namespace {

using Writer = std::shared_ptr<http::ResponseWriter>;

constexpr int kRetryAfterSeconds = 2;
constexpr const char* kStopping = "the server is stopping";

// The field a refusal is about begins its message.
std::string blamed(const planner::Fields& fields, const std::string& message) {
  const size_t colon = message.find(':');
  const std::string name = message.substr(0, colon == message.npos ? 0 : colon);
  return fields.contains(name) || name == "model" ? name : "";
}

http::HttpResponse come_again(std::string why) {
  api::ApiError error = api::http_error(503, std::move(why));
  error.retry_after_s = kRetryAfterSeconds;
  return http::error_response(error);
}

http::HttpResponse reply_to(const planner::Fields& fields, const planner::Desk& desk, const std::stop_token& stop) try {
  const Result<Value> made = planner::answer(fields, desk, stop);
  if (!made) {
    return http::error_response(api::to_api_error(made.error(), blamed(fields, made.error().message())));
  }
  http::HttpResponse out;
  out.body = json::write(*made);
  return out;
} catch (const Error& error) {
  if (error.code() == Code::kCancelled) return come_again(kStopping);
  log::error("a plan failed: {}", error.message());
  return http::error_response(api::to_api_error(error));
} catch (const std::exception& error) {
  log::error("a plan failed: {}", error.what());
  return http::error_response(api::http_error(500, "the server failed on this request"));
}

}  // namespace

// A plan somebody asked for, from its request to its answer.
struct PlanRoutes::Asked {
  Asked(std::atomic<int>& wanted, Writer to, planner::Fields what)
      : wanted_plans(wanted), writer(std::move(to)), fields(std::move(what)) {}
  ~Asked() { leave(); }
  // Its place is free for another.
  void leave() {
    if (is_counted.exchange(false)) --wanted_plans;
  }

  std::atomic<int>& wanted_plans;
  std::atomic<bool> is_counted{true};
  std::stop_source stop;
  const Writer writer;
  const planner::Fields fields;
};

void PlanRoutes::make(Asked& asked) {
  const std::stop_callback with_the_server(stop_.get_token(), [&] { asked.stop.request_stop(); });
  if (asked.writer->is_aborted()) return;
  if (stop_.stop_requested()) return asked.writer->respond(come_again(kStopping));  // it waited until now
  asked.writer->respond(reply_to(asked.fields, desk_, asked.stop.get_token()));
}

void PlanRoutes::take(const http::HttpRequest& request, Writer writer) {
  if (stop_.stop_requested()) return writer->respond(come_again(kStopping));
  const bool is_full = wanted_.fetch_add(1) >= kMost;
  const auto asked = std::make_shared<Asked>(wanted_, writer, http::query_values(request.query));
  if (is_full || !pool_.post([this, asked] { make(*asked); })) {
    asked->leave();
    return writer->respond(come_again("as many plans as may wait are being made"));
  }
  writer->on_abort([gone = std::weak_ptr(asked)](http::AbortReason) {
    if (const auto asked = gone.lock()) {
      asked->stop.request_stop();
      asked->leave();
    }
  });
}

std::vector<http::Route> PlanRoutes::routes() {
  return {{"GET", "/plan", "what a model would need here, and how fast it could be at best", false,
           [this](const http::HttpRequest& request, Writer writer) { take(request, std::move(writer)); }}};
}

}  // namespace hearth::server
