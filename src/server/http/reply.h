// The ResponseWriter of one request: takes calls from any thread to the connection's own, where stale ones end.
#pragma once
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "server/http/http_server.h"

namespace hearth::http {

/// Whether and why a request was aborted.
struct AbortState {
  std::atomic<bool> is_aborted{false};
  AbortReason reason = AbortReason::kHungUp;  // network thread only
};

/// The connection as a reply sees it. All but dispatch(), post() and unsent_bytes() run on the network thread; calls
/// for another request than `sequence` do nothing.
class ReplyTarget {
 public:
  virtual ~ReplyTarget() = default;
  virtual void answer(uint64_t sequence, HttpResponse response) = 0;
  virtual void start_stream(uint64_t sequence, HttpResponse head) = 0;
  virtual void stream_text(uint64_t sequence, std::string_view text) = 0;
  virtual void finish_stream(uint64_t sequence) = 0;
  /// The last reference to the reply has gone.
  virtual void abandoned(uint64_t sequence) = 0;
  virtual void watch_abort(uint64_t sequence, std::function<void(AbortReason)> callback) = 0;
  virtual void watch_silence(uint64_t sequence, std::function<void()> callback) = 0;

  /// To the network thread: at once when this is it, or always later. Dropped once the server has stopped.
  virtual void dispatch(std::function<void()> work) = 0;
  virtual void post(std::function<void()> work) = 0;
  virtual size_t unsent_bytes() const = 0;
};

std::shared_ptr<ResponseWriter> make_reply(std::shared_ptr<ReplyTarget> target, uint64_t sequence,
                                           std::shared_ptr<AbortState> abort);

}  // namespace hearth::http
