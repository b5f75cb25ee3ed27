#include "server_client.h"

#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "formats/json/json.h"

namespace hearth::app {
namespace {

// Where a server that listens everywhere is reached from its own machine.
std::string reachable(const std::string& host) {
  if (host.empty() || host == "0.0.0.0") return "127.0.0.1";
  return host == "::" ? "::1" : host;
}

// What is there until the peer closes, or until `is_enough`.
template <class Enough>
Result<std::string> read_until(int socket, Enough is_enough) {
  std::string text;
  char piece[16384];
  while (!is_enough(text)) {
    const ssize_t count = ::recv(socket, piece, sizeof piece, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return unexpected(Code::kIo, fmt::format("the server's answer broke off: {}", std::strerror(errno)));
    if (count == 0) break;
    text.append(piece, static_cast<size_t>(count));
  }
  return text;
}

int status_of(const std::string& head) {
  const size_t space = head.find(' ');
  return space == head.npos ? 0 : std::atoi(head.c_str() + space);
}

std::string body_of(const std::string& answer) {
  const size_t end = answer.find("\r\n\r\n");
  return end == answer.npos ? "" : answer.substr(end + 4);
}

// The error a server's envelope speaks of.
Error refusal_of(int status, const std::string& body) {
  const Result<Value> parsed = json::parse(body);
  const Value* error = parsed ? parsed->find("error") : nullptr;
  const Value* message = error ? error->find("message") : nullptr;
  Error out(status == 503 ? Code::kNoMemory : Code::kInvalidArgument,
            message && message->is_string() ? message->as_string() : fmt::format("the server answered {}", status));
  const Value* details = error ? error->find("details") : nullptr;
  return details ? out.with(std::make_shared<const Value>(*details)) : out;
}

}  // namespace

ServerStream::~ServerStream() {
  if (socket_ >= 0) ::close(socket_);
}

bool ServerStream::is_closed(int wait_ms) {
  pollfd event{socket_, POLLIN, 0};
  if (::poll(&event, 1, wait_ms) <= 0) return false;
  char piece[256];
  return ::recv(socket_, piece, sizeof piece, MSG_DONTWAIT) == 0;
}

ServerClient::ServerClient(const config::Server& server)
    : host_(reachable(server.host)), port_(std::to_string(server.port)), api_key_(server.api_key),
      name_(fmt::format("{}:{}", host_, port_)) {}

Result<int> ServerClient::connect() const {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (::getaddrinfo(host_.c_str(), port_.c_str(), &hints, &found) != 0) {
    return unexpected(Code::kIo, fmt::format("no address of the name {}", host_));
  }
  int failure = 0;
  for (addrinfo* at = found; at; at = at->ai_next) {
    const int socket = ::socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
    if (socket >= 0 && ::connect(socket, at->ai_addr, at->ai_addrlen) == 0) {
      ::freeaddrinfo(found);
      return socket;
    }
    failure = errno;
    if (socket >= 0) ::close(socket);
  }
  ::freeaddrinfo(found);
  return unexpected(Code::kIo, fmt::format("no server at {}: {}; start it with `hearth serve`, or set server.port",
                                           name_, std::strerror(failure)));
}

// HTTP/1.0: the answer's end is the connection's.
Result<int> ServerClient::send(std::string_view method, std::string_view path, const Value& body) const {
  Result<int> socket = connect();
  if (!socket) return socket;
  const std::string text = body.is_null() ? "" : json::write(body);
  std::string request = fmt::format("{} {} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {}\r\n", method, path,
                                    text.size());
  if (!text.empty()) request += "Content-Type: application/json\r\n";
  if (!api_key_.empty()) request += "Authorization: Bearer " + api_key_ + "\r\n";
  request += "\r\n" + text;
  for (size_t sent = 0; sent < request.size();) {
    const ssize_t count = ::send(*socket, request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (count < 0) {
      ::close(*socket);
      return unexpected(Code::kIo, fmt::format("the server at {} hung up: {}", name_, std::strerror(errno)));
    }
    sent += static_cast<size_t>(count);
  }
  return socket;
}

Result<Value> ServerClient::ask(std::string_view method, std::string_view path, const Value& body) const {
  const Result<int> socket = send(method, path, body);
  if (!socket) return unexpected(socket.error());
  const ServerStream connection(*socket);
  const Result<std::string> answer = read_until(*socket, [](const std::string&) { return false; });
  if (!answer) return unexpected(answer.error());
  const int status = status_of(*answer);
  if (status != 200) return unexpected(refusal_of(status, body_of(*answer)));
  return json::parse(body_of(*answer));
}

Result<ServerStream> ServerClient::open(std::string_view path, const Value& body) const {
  const Result<int> socket = send("POST", path, body);
  if (!socket) return unexpected(socket.error());
  ServerStream connection(*socket);
  auto has_begun = [](const std::string& text) {
    const size_t end = text.find("\r\n\r\n");
    return status_of(text) == 200 && end != text.npos && text.find('\n', end + 4) != text.npos;
  };
  const Result<std::string> answer = read_until(*socket, has_begun);
  if (!answer) return unexpected(answer.error());
  if (!has_begun(*answer)) return unexpected(refusal_of(status_of(*answer), body_of(*answer)));
  return connection;
}

}  // namespace hearth::app
