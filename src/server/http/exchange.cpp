#include "server/http/exchange.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "core/base/log.h"
#include "server/http/admission.h"
#include "server/http/guard.h"

namespace hearth::http {
namespace {

// The path as it was sent (never decoded: a line break must not reach the log), shortened.
std::string loggable(std::string_view target) {
  std::string out(target.substr(0, std::min<size_t>(target.find('?'), 200)));
  std::replace_if(out.begin(), out.end(), [](unsigned char c) { return c <= 0x20 || c >= 0x7f; }, '?');
  return out;
}

}  // namespace

Exchange::Exchange(std::string remote, bool keep_alive) : keep_alive(keep_alive) {
  request.remote = std::move(remote);
  request.id = make_request_id();
}

std::string Exchange::respond(HttpResponse response) {
  status_ = response.status;
  head_sent_ = is_answered_ = true;
  add_cors_headers(response, cors_origin);
  std::string text = render_head(response, {.keep_alive = keep_alive, .request_id = request.id});
  if (request.method != "HEAD") text += response.body;
  return text;
}

std::string Exchange::start_stream(HttpResponse head) {
  framing_ = request.is_http11 ? Framing::kChunked : Framing::kUntilClose;
  if (!request.is_http11) keep_alive = false;
  add_cors_headers(head, cors_origin);
  status_ = head.status;
  head_sent_ = true;
  return render_head(head, {.framing = framing_, .keep_alive = keep_alive, .request_id = request.id});
}

std::string Exchange::stream_text(std::string_view text) const {
  return framing_ == Framing::kChunked ? render_chunk(text) : std::string(text);
}

std::string Exchange::finish_stream() {
  is_answered_ = true;
  return framing_ == Framing::kChunked ? std::string(kLastChunk) : "";
}

void Exchange::upgraded() {
  status_ = 101;
  head_sent_ = is_answered_ = true;
}

void Exchange::record(const RequestObserver& observer, bool was_aborted) {
  const bool is_unheard = request.method.empty() && status_ == 0;
  if (std::exchange(is_recorded_, true) || is_unheard) return;
  const int status = status_ != 0 ? status_ : 499;
  const double took_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_).count();
  if (observer) {
    observer({route ? std::string_view(route->pattern) : "other", request.method, status, took_s, sent_bytes_});
  }
  const bool is_probe = status == 200 && (request.path == "/health" || request.path == "/metrics");
  log::write(is_probe ? log::Level::kDebug : log::Level::kInfo,
             fmt::format("request id={} remote={} method={} path={} status={} ms={:.1f} bytes={}{}", request.id,
                         request.remote, request.method, loggable(request.target), status, took_s * 1e3, sent_bytes_,
                         was_aborted ? " aborted=1" : ""));
}

void call_handler(const Route& route, const HttpRequest& request, const std::shared_ptr<ResponseWriter>& writer) {
  try {
    route.handler(request, writer);
  } catch (const Error& error) {
    log::error("request failed id={} path={} error=\"{}\"", request.id, loggable(request.target), error.message());
    writer->respond(error_response(api::to_api_error(error)));
  } catch (const std::exception& error) {
    log::error("request failed id={} path={} error=\"{}\"", request.id, loggable(request.target), error.what());
    writer->respond(error_response(api::http_error(500, "the server failed on this request")));
  }
}

}  // namespace hearth::http
