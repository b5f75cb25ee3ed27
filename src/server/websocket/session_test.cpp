// WebSockets over real sockets: handshake, frames, keep-alive, clients that do not read, the server's end.
#include "server/websocket/session.h"

#include <future>

#include <gtest/gtest.h>

#include "core/base/log.h"
#include "server/http/http_server.h"
#include "server/testing/raw_client.h"

namespace hearth::websocket {
namespace {

using server::RawClient;

constexpr const char* kHandshake =
    "GET /ws?clientId=me HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

// A short masked frame, as clients send them.
std::string frame(char kind, std::string_view text) {
  std::string out{static_cast<char>(0x80 | kind), static_cast<char>(0x80 | text.size())};
  return out + std::string(4, '\0') + std::string(text);
}

// Greets, repeats texts, fills silence with "still here", sends what a test asks it to.
class Echo {
 public:
  Accept accept() {
    return [this](const http::HttpRequest& request, std::shared_ptr<WebSocket> socket) {
      socket->send(text_message("hello " + http::query_value(request.query, "clientId")));
      opened.set_value(socket);
      return Listener{[socket](std::string_view text) { socket->send(text_message("echo " + std::string(text))); },
                      [socket] { socket->send(text_message("still here")); }, [this] { closed.set_value(); }};
    };
  }
  std::promise<std::shared_ptr<WebSocket>> opened;
  std::promise<void> closed;
};

class SessionTest : public testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::kOff); }
  void TearDown() override {
    if (server_) server_->stop(0);
    log::set_level(log::Level::kInfo);
  }
  void start(http::ServerOptions options = {}) {
    options.port = 0;
    http::Route route{"GET", "/ws", "", false, [](const http::HttpRequest&, std::shared_ptr<http::ResponseWriter> w) {
                        w->respond({.status = 426});
                      }};
    route.websocket = echo_.accept();
    server_ = http::make_http_server(options, {route}, nullptr);
    server_->start().value();
  }
  bool is_closed() { return echo_.closed.get_future().wait_for(std::chrono::seconds(20)) == std::future_status::ready; }

  Echo echo_;
  std::unique_ptr<http::HttpServer> server_;
};

TEST_F(SessionTest, HandshakesAndTalks) {
  start();
  RawClient client(server_->port());
  client.send(std::string(kHandshake) + "\r\n");
  const std::string head = client.read_until("\r\n\r\n");
  EXPECT_EQ(server::status_of(head), 101);
  EXPECT_NE(head.find("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), std::string::npos) << head;
  EXPECT_EQ(client.read_until("hello me"), "\x81\x08hello me");
  client.send(frame(1, "one") + frame(1, "two"));
  EXPECT_EQ(client.read_until("two"), "\x81\x08" "echo one\x81\x08" "echo two");
  client.send(frame(9, "ping"));
  EXPECT_EQ(client.read_until("ping"), "\x8a\x04ping");
  client.send(frame(8, ""));
  EXPECT_EQ(client.read_until("\x03\xe8"), "\x88\x02\x03\xe8");  // 1000, a normal end
  client.hang_up();
  EXPECT_TRUE(is_closed());
}

TEST_F(SessionTest, PlainRequestsAndForeignPagesGetNoSocket) {
  start();
  auto status = [&](const std::string& request) {
    RawClient client(server_->port());
    client.send(request);
    return server::status_of(client.read_until("\r\n\r\n"));
  };
  EXPECT_EQ(status(server::get_text("/ws")), 426);
  EXPECT_EQ(status(std::string(kHandshake) + "Origin: http://evil.example\r\n\r\n"), 403);
  EXPECT_EQ(status("GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\r\n"), 400);
}

TEST_F(SessionTest, SilenceIsFilled) {
  http::ServerOptions options;
  options.socket_silence_s = 0.05;
  start(options);
  RawClient client(server_->port());
  client.send(std::string(kHandshake) + "\r\n");
  EXPECT_NE(client.read_until("still here").find("still here"), std::string::npos);
  EXPECT_EQ(client.read_until("still here"), "\x81\x0astill here");
}

TEST_F(SessionTest, AClientThatDoesNotReadIsGivenUp) {
  http::ServerOptions options;
  options.max_socket_unsent_bytes = 1 << 20;
  start(options);
  RawClient client(server_->port(), 4096);
  client.send(std::string(kHandshake) + "\r\n");
  auto socket = echo_.opened.get_future().get();
  auto closed = echo_.closed.get_future();
  const auto big = std::make_shared<const std::string>(1 << 18, 'x');
  // Previews alone never end it, however many.
  for (int i = 0; i < 200; ++i) socket->send({big, true, true});
  EXPECT_EQ(closed.wait_for(std::chrono::milliseconds(50)), std::future_status::timeout);
  for (int i = 0; i < 200; ++i) socket->send({big, true, false});
  EXPECT_EQ(closed.wait_for(std::chrono::seconds(20)), std::future_status::ready);
}

TEST_F(SessionTest, TheServerSaysGoodbye) {
  start();
  RawClient client(server_->port());
  client.send(std::string(kHandshake) + "\r\n");
  client.read_until("hello me");
  auto stopped = std::async(std::launch::async, [&] { server_->stop(5); });
  EXPECT_EQ(client.read_until("\x03\xe9"), "\x88\x02\x03\xe9");  // 1001, going away
  client.send(frame(8, "\x03\xe9"));
  stopped.get();
  EXPECT_TRUE(is_closed());
  EXPECT_EQ(server_->open_connections(), 0);
}

TEST_F(SessionTest, AnAbruptEndIsNoticed) {
  start();
  RawClient client(server_->port());
  client.send(std::string(kHandshake) + "\r\n");
  client.read_until("hello me");
  client.reset();
  EXPECT_TRUE(is_closed());
}

}  // namespace
}  // namespace hearth::websocket
