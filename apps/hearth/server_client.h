// ServerClient: a plain HTTP client for the server that runs on this machine, as the configuration names it. One
// request a connection; blocking; one thread.
#pragma once
#include <string>
#include <string_view>

#include "config/config.h"
#include "core/base/result.h"
#include "core/base/value.h"

namespace hearth::app {

/// A connection whose answer goes on: reserve holds memory by it.
class ServerStream {
 public:
  explicit ServerStream(int socket) : socket_(socket) {}
  ServerStream(ServerStream&& other) noexcept : socket_(std::exchange(other.socket_, -1)) {}
  ServerStream& operator=(ServerStream&&) = delete;
  ~ServerStream();
  /// True when the server has closed it. Waits up to `wait_ms` for that.
  bool is_closed(int wait_ms);

 private:
  int socket_;
};

class ServerClient {
 public:
  explicit ServerClient(const config::Server& server);
  /// "127.0.0.1:8188"
  const std::string& name() const { return name_; }
  /// The parsed answer. kIo when no server answers; an error of the server with its own code of text and details.
  Result<Value> ask(std::string_view method, std::string_view path, const Value& body = {}) const;
  /// The same, but the connection stays open behind the first line of the answer.
  Result<ServerStream> open(std::string_view path, const Value& body) const;

 private:
  Result<int> connect() const;
  Result<int> send(std::string_view method, std::string_view path, const Value& body) const;

  std::string host_, port_, api_key_, name_;
};

}  // namespace hearth::app
