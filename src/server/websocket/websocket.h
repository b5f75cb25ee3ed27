// One open WebSocket as the rest of the server sees it, without a library's name (Boost.Beast lives in session.cpp).
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "server/http/request.h"

namespace hearth::websocket {

/// What goes to a client. The bytes are shared: a broadcast copies nothing.
struct Message {
  std::shared_ptr<const std::string> bytes;
  bool is_binary = false;
  bool may_be_lost = false;  // a preview: a slow client gets the newest only, or none
};

inline Message text_message(std::string text) { return {std::make_shared<const std::string>(std::move(text))}; }
inline Message binary_message(std::string bytes, bool may_be_lost) {
  return {std::make_shared<const std::string>(std::move(bytes)), true, may_be_lost};
}

/// Thread-safe; calls after the end do nothing. Messages arrive in the order of send().
class WebSocket {
 public:
  virtual ~WebSocket() = default;
  /// A client too far behind loses previews first; beyond max_socket_unsent_bytes it is closed.
  virtual void send(Message message) = 0;
  virtual void close() = 0;
};

/// What happens on an open socket; all on the network thread, so each must return quickly and not throw.
struct Listener {
  std::function<void(std::string_view)> on_text;
  std::function<void()> on_silence;  // nothing was sent for socket_silence_s
  std::function<void()> on_close;    // once; the last call
};

/// Called on the network thread when the handshake is done.
using Accept = std::function<Listener(const http::HttpRequest&, std::shared_ptr<WebSocket>)>;

}  // namespace hearth::websocket
