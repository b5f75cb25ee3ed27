// ClientHub: ComfyUI's clients by their id, and what is said to one or all of them. A client keeps its id over
// reconnects; its newest socket gets everything. Thread-safe; what one thread sends arrives in its order.
#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/value.h"
#include "server/websocket/websocket.h"

namespace hearth::server {

class ClientHub {
 public:
  /// `features`: the reply to a client that names its own.
  explicit ClientHub(Value features);

  /// Greets a new socket of ?clientId= (made when absent): status with sid, and where its running prompt is.
  websocket::Listener admit(const http::HttpRequest& request, std::shared_ptr<websocket::WebSocket> socket);

  /// "" and unknown ids: nobody hears it.
  void send(const std::string& client, const websocket::Message& message);
  void broadcast(const websocket::Message& message);
  /// Whether it asked for previews with metadata (binary type 4 instead of 1).
  bool takes_preview_metadata(const std::string& client) const;

  /// Broadcasts status when asked to; kept for greetings and keep-alive.
  void set_remaining(int64_t remaining);
  /// The node that runs for `client`, told to it when it comes back. "": none.
  void set_running(const std::string& client, const std::string& node);

  void subscribe_logs(const std::string& client, bool wants);
  void send_logs(const websocket::Message& message);
  size_t clients() const;

 private:
  struct Client {
    explicit Client(std::shared_ptr<websocket::WebSocket> the_socket) : socket(std::move(the_socket)) {}
    const std::shared_ptr<websocket::WebSocket> socket;
    std::atomic<bool> has_spoken{false}, takes_metadata{false}, wants_logs{false};
  };
  void heard(Client& client, std::string_view text) const;
  void forget(const std::string& id, const Client* client);
  std::vector<std::shared_ptr<Client>> all() const;
  std::shared_ptr<Client> find(const std::string& id) const;

  const Value features_;
  std::atomic<int64_t> remaining_{0};
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Client>> clients_;
  std::string running_client_, running_node_;
};

}  // namespace hearth::server
