// The connection behind a WebSocket: takes over the socket of an upgraded request and owns it to the end. Everything
// but send() and close() runs on the network thread.
#pragma once
#include <functional>
#include <memory>

#include "server/websocket/websocket.h"

namespace boost::asio {
class io_context;
}

namespace hearth::websocket {

class Session : public WebSocket {
 public:
  /// Performs the handshake, then lives until either side closes.
  virtual void start() = 0;
  /// Says that the server goes away; the client may answer.
  virtual void go_away() = 0;
  virtual void drop() = 0;
};

struct SessionSetup {
  boost::asio::io_context& io;
  int descriptor = -1;  // owned by the session from here on
  bool is_v6 = false;
  http::HttpRequest request;
  Accept accept;
  /// Takes work to the network thread; at once when it runs there. Dropped once the server has stopped.
  std::function<void(std::function<void()>)> dispatch;
  std::function<void(Session*)> closed;  // once
  size_t max_unsent_bytes = 0;
  double silence_s = 0, write_timeout_s = 0;
};

std::shared_ptr<Session> make_session(SessionSetup setup);

}  // namespace hearth::websocket
