#include "server/testing/raw_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include <fmt/format.h>

namespace hearth::server {
namespace {

constexpr int kDeadlineMs = 20000;

}  // namespace

RawClient::RawClient(int port, int receive_buffer) {
  descriptor_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer > 0) ::setsockopt(descriptor_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) hang_up();
}

RawClient::~RawClient() { hang_up(); }

bool RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = ::send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool RawClient::fill() {
  pollfd wait{descriptor_, POLLIN, 0};
  if (descriptor_ < 0 || ::poll(&wait, 1, kDeadlineMs) <= 0) return false;
  char buffer[16384];
  ssize_t got = ::recv(descriptor_, buffer, sizeof buffer, 0);
  if (got <= 0) return false;
  pending_.append(buffer, static_cast<size_t>(got));
  return true;
}

std::string RawClient::take(size_t bytes) {
  std::string out = pending_.substr(0, bytes);
  pending_.erase(0, std::min(bytes, pending_.size()));
  return out;
}

std::string RawClient::read_until(std::string_view mark) {
  while (pending_.find(mark) == std::string::npos) {
    if (!fill()) return take(pending_.size());
  }
  return take(pending_.find(mark) + mark.size());
}

std::string RawClient::read_response(bool without_body) {
  std::string out = read_until("\r\n\r\n");
  if (without_body) return out;
  if (size_t length = out.find("Content-Length: "); length != out.npos) {
    size_t wanted = std::strtoul(out.c_str() + length + 16, nullptr, 10);
    while (pending_.size() < wanted && fill()) {
    }
    return out + take(wanted);
  }
  if (out.find("Transfer-Encoding: chunked") == out.npos) return out;
  while (true) {
    size_t wanted = std::strtoul(read_until("\r\n").c_str(), nullptr, 16);
    while (pending_.size() < wanted + 2 && fill()) {
    }
    if (pending_.size() < wanted + 2) return out + "<cut off>";
    out += take(wanted);
    take(2);
    if (wanted == 0) return out;
  }
}

std::string RawClient::read_all() {
  while (fill()) {
  }
  return take(pending_.size());
}

bool RawClient::has_answer_within(int milliseconds) {
  pollfd wait{descriptor_, POLLIN, 0};
  return !pending_.empty() || ::poll(&wait, 1, milliseconds) > 0;
}

bool RawClient::is_at_end() {
  if (!pending_.empty()) return false;
  pollfd wait{descriptor_, POLLIN, 0};
  if (::poll(&wait, 1, kDeadlineMs) <= 0) return false;
  char byte;
  return ::recv(descriptor_, &byte, 1, MSG_PEEK) <= 0;
}

void RawClient::hang_up() {
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = -1;
}

void RawClient::reset() {
  linger at_once{1, 0};
  ::setsockopt(descriptor_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  hang_up();
}

std::string post_text(std::string_view path, std::string_view body, std::string_view extra_headers) {
  return fmt::format("POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{}"
                     "\r\n{}", path, body.size(), extra_headers, body);
}

std::string get_text(std::string_view path, std::string_view extra_headers) {
  return fmt::format("GET {} HTTP/1.1\r\nHost: localhost\r\n{}\r\n", path, extra_headers);
}

int status_of(std::string_view response) {
  if (!response.starts_with("HTTP/1.1 ") || response.size() < 12) return 0;
  return std::atoi(std::string(response.substr(9, 3)).c_str());
}

}  // namespace hearth::server
