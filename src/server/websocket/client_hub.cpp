#include "server/websocket/client_hub.h"

#include <utility>

#include "api/comfy/frames.h"
#include "server/uuid.h"

namespace hearth::server {

using websocket::Message;
using websocket::text_message;

ClientHub::ClientHub(Value features) : features_(std::move(features)) {}

websocket::Listener ClientHub::admit(const http::HttpRequest& request,
                                     std::shared_ptr<websocket::WebSocket> socket) {
  std::string id = http::query_value(request.query, "clientId");
  if (id.empty()) id = make_hex_id();
  auto client = std::make_shared<Client>(std::move(socket));
  // Before anybody else can find the socket: the first frame names the client.
  client->socket->send(text_message(comfy::status_frame(remaining_, id)));
  {
    std::lock_guard lock(mutex_);
    clients_[id] = client;
    if (!running_node_.empty() && running_client_ == id) {
      const Value where = Value::object({{"node", running_node_}});
      client->socket->send(text_message(comfy::text_frame("executing", where)));
    }
  }
  return {[this, client](std::string_view text) { heard(*client, text); },
          [this, client] { client->socket->send(text_message(comfy::status_frame(remaining_))); },
          [this, client, id] { forget(id, client.get()); }};
}

// Only the first message counts; what follows is not meant for this server.
void ClientHub::heard(Client& client, std::string_view text) const {
  if (client.has_spoken.exchange(true)) return;
  const Value flags = comfy::feature_flags_of(text);
  if (flags.is_null()) return;
  const Value* metadata = flags.find("supports_preview_metadata");
  client.takes_metadata = metadata && metadata->is_bool() && metadata->as_bool();
  client.socket->send(text_message(comfy::text_frame("feature_flags", features_)));
}

void ClientHub::forget(const std::string& id, const Client* client) {
  std::lock_guard lock(mutex_);
  auto found = clients_.find(id);
  if (found != clients_.end() && found->second.get() == client) clients_.erase(found);
}

std::shared_ptr<ClientHub::Client> ClientHub::find(const std::string& id) const {
  std::lock_guard lock(mutex_);
  auto found = clients_.find(id);
  return found == clients_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<ClientHub::Client>> ClientHub::all() const {
  std::lock_guard lock(mutex_);
  std::vector<std::shared_ptr<Client>> out;
  for (const auto& [id, client] : clients_) out.push_back(client);
  return out;
}

void ClientHub::send(const std::string& client, const Message& message) {
  if (auto found = find(client)) found->socket->send(message);
}

void ClientHub::broadcast(const Message& message) {
  for (const auto& client : all()) client->socket->send(message);
}

bool ClientHub::takes_preview_metadata(const std::string& client) const {
  auto found = find(client);
  return found && found->takes_metadata;
}

void ClientHub::set_remaining(int64_t remaining) {
  remaining_ = remaining;
  broadcast(text_message(comfy::status_frame(remaining)));
}

void ClientHub::set_running(const std::string& client, const std::string& node) {
  std::lock_guard lock(mutex_);
  running_client_ = client;
  running_node_ = node;
}

void ClientHub::subscribe_logs(const std::string& client, bool wants) {
  if (auto found = find(client)) found->wants_logs = wants;
}

void ClientHub::send_logs(const Message& message) {
  for (const auto& client : all()) {
    if (client->wants_logs) client->socket->send(message);
  }
}

size_t ClientHub::clients() const {
  std::lock_guard lock(mutex_);
  return clients_.size();
}

}  // namespace hearth::server
