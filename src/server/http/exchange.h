// Exchange: one request and what has been said to it so far. Decides what an answer looks like as bytes and keeps the
// record of it; knows no socket. One thread at a time: the network thread.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "server/http/http_server.h"
#include "server/http/wire.h"

namespace hearth::http {

class Exchange {
 public:
  /// A request that begins to arrive from `remote`.
  Exchange(std::string remote, bool keep_alive);

  HttpRequest request;
  const Route* route = nullptr;
  std::string cors_origin;
  std::optional<HttpResponse> early_answer;  // known from the header alone
  bool keep_alive;              // the connection goes on after the answer
  bool is_read_whole = false;   // nothing of the request is still on its way

  // What to send now; each ends or continues the answer.
  std::string respond(HttpResponse response);
  std::string start_stream(HttpResponse head);
  std::string stream_text(std::string_view text) const;
  std::string finish_stream();
  /// The connection becomes a WebSocket.
  void upgraded();

  bool head_sent() const { return head_sent_; }
  bool is_answered() const { return is_answered_; }
  /// A stream that has begun and not ended.
  bool is_streaming() const { return head_sent_ && !is_answered_; }

  void count_sent(size_t bytes) { sent_bytes_ += static_cast<int64_t>(bytes); }
  /// Once: tells the observer and the log how it ended. Nothing for a client gone before its header was complete.
  void record(const RequestObserver& observer, bool was_aborted);

 private:
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  bool head_sent_ = false, is_answered_ = false, is_recorded_ = false;
  Framing framing_ = Framing::kLength;
  int status_ = 0;
  int64_t sent_bytes_ = 0;
};

/// Runs the route's handler; what it throws becomes the answer.
void call_handler(const Route& route, const HttpRequest& request, const std::shared_ptr<ResponseWriter>& writer);

}  // namespace hearth::http
