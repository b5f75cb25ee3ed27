#include "server/generation.h"

#include <ctime>
#include <utility>

#include <fmt/format.h>

#include "core/base/log.h"
#include "formats/json/json.h"
#include "server/http/guard.h"

namespace hearth::server {

std::shared_ptr<void> Slots::take(const std::shared_ptr<Slots>& slots) {
  if (slots->taken_.fetch_add(1) >= slots->limit_) {
    --slots->taken_;
    return nullptr;
  }
  return std::shared_ptr<void>(slots.get(), [slots](void*) { --slots->taken_; });
}

Generation::Generation(LanguageService& service, const openai::CompletionCall& call,
                       std::shared_ptr<http::ResponseWriter> writer, std::shared_ptr<void> slot, std::string request_id)
    : service_(service), writer_(std::move(writer)), slot_(std::move(slot)),
      // Two clients may send the same X-Request-Id; cancelling one must not end the other.
      id_(fmt::format("{}/{}", request_id, http::make_request_id())), stream_(call.stream),
      plain_(openai::make_head(call, id_.substr(id_.find('/') + 1), std::time(nullptr))),
      streamed_(openai::make_head(call, id_.substr(id_.find('/') + 1), std::time(nullptr))) {}

void Generation::start(GenerateRequest request) {
  request.id = id_;
  writer_->on_abort([weak = weak_from_this()](http::AbortReason reason) {
    if (auto self = weak.lock()) self->aborted(reason);
  });
  if (stream_) {
    writer_->on_silence([weak = weak_from_this()] {
      if (auto self = weak.lock()) self->keep_alive();
    });
  }
  if (writer_->is_aborted()) return;
  service_.submit(std::move(request), [self = shared_from_this()](GenerateEvent event) {
    self->writer_->post([self, event = std::move(event)] { self->take(event); });
  });
  // An abort meanwhile cancelled a request that the service did not know yet.
  if (writer_->is_aborted()) service_.cancel(id_);
}

void Generation::take(const GenerateEvent& event) {
  if (is_ended_) return;
  try {
    if (const auto* failed = std::get_if<Failed>(&event)) {
      log::warn("generation failed id={} code={} error=\"{}\"", id_, wire_name(failed->error.code()),
                failed->error.message());
      return fail(api::to_api_error(failed->error));
    }
    stream_ ? take_stream(event) : take_plain(event);
    if (const auto* done = std::get_if<Done>(&event)) {
      const Usage& usage = done->usage;
      log::info("generation done id={} prompt_tokens={} cached_tokens={} completion_tokens={} queue_s={:.3f} "
                "prefill_s={:.3f} decode_s={:.3f}", id_, usage.prompt_tokens, usage.cached_tokens,
                usage.completion_tokens, usage.queue_s, usage.prefill_s, usage.decode_s);
      end();
    }
  } catch (const std::exception& error) {
    log::error("generation broke id={} error=\"{}\"", id_, error.what());
    service_.cancel(id_);
    fail(api::http_error(500, "the server failed on this request"));
  }
}

void Generation::begin_stream() {
  if (std::exchange(is_streaming_, true)) return;
  http::HttpResponse head;
  head.content_type = "text/event-stream; charset=utf-8";
  head.headers = {{"Cache-Control", "no-cache"}, {"X-Accel-Buffering", "no"}};
  writer_->start_stream(std::move(head));
}

// A request may wait for its turn, its model or its prompt for minutes; clients and proxies give up on silence sooner.
// From the first comment on a failure is an event in the stream, no status.
void Generation::keep_alive() {
  if (is_ended_) return;
  begin_stream();
  writer_->write(": keep-alive\n\n");
}

void Generation::take_stream(const GenerateEvent& event) {
  begin_stream();
  writer_->write(streamed_.add(event));
  if (std::holds_alternative<Done>(event)) writer_->finish();
}

void Generation::take_plain(const GenerateEvent& event) {
  plain_.add(event);
  if (!std::holds_alternative<Done>(event)) return;
  http::HttpResponse out;
  out.body = json::write(plain_.body());
  writer_->respond(std::move(out));
}

void Generation::aborted(http::AbortReason reason) {
  if (is_ended_) return;
  service_.cancel(id_);
  log::info("generation cancelled id={}", id_);
  switch (reason) {
    case http::AbortReason::kHungUp:
    case http::AbortReason::kTooSlow: return end();
    case http::AbortReason::kTimeout:
      return fail(api::http_error(504, "the request took longer than the server allows"));
    case http::AbortReason::kStopping: return fail(api::http_error(503, "the server is stopping"));
  }
}

void Generation::fail(const api::ApiError& error) {
  if (is_streaming_) {
    writer_->write(openai::StreamReply::fail(error));
    writer_->finish();
  } else {
    writer_->respond(http::error_response(error));
  }
  end();
}

void Generation::end() {
  is_ended_ = true;
  slot_.reset();
}

}  // namespace hearth::server
