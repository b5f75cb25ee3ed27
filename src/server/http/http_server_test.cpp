// HTTP itself over raw sockets: framing, limits, timeouts, refusals.
#include "server/http/http_server.h"

#include <atomic>
#include <chrono>
#include <future>
#include <memory>
#include <regex>
#include <thread>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "server/server.h"
#include "server/testing/raw_client.h"
#include "server/testing/scripted_service.h"

namespace hearth::server {
namespace {

constexpr const char* kChat = "/v1/chat/completions";
constexpr const char* kBody = R"({"messages":[{"role":"user","content":"hi"}]})";

class HttpServerTest : public testing::Test {
 protected:
  void start(ServerOptions options = {}) {
    options.port = 0;
    server_ = std::make_unique<Server>(service_, options);
    server_->start().value();
  }
  std::string once(const std::string& request) {
    RawClient client(server_->port());
    client.send(request);
    return client.read_response();
  }
  int status(const std::string& request) { return status_of(once(request)); }

  ScriptedService service_;
  std::unique_ptr<Server> server_;
};

TEST_F(HttpServerTest, KeepsAndPipelinesConnections) {
  start();
  RawClient client(server_->port());
  for (int i = 0; i < 3; ++i) {
    client.send(get_text("/health"));
    EXPECT_NE(client.read_response().find(R"({"status":"ok"})"), std::string::npos);
  }
  std::string many;
  for (int i = 0; i < 50; ++i) many += get_text(i % 2 ? "/nowhere" : "/health") + post_text(kChat, kBody);
  client.send(many);
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(status_of(client.read_response()), i % 2 ? 404 : 200);
    EXPECT_NE(client.read_response().find("Hello from the script."), std::string::npos);
  }
  client.send(get_text("/health", "Connection: close\r\n"));
  std::string last = client.read_response();
  EXPECT_EQ(status_of(last), 200);
  EXPECT_NE(last.find("Connection: close"), std::string::npos);
  EXPECT_TRUE(client.is_at_end());
}

TEST_F(HttpServerTest, TakesChunkedBodiesAndExpectations) {
  start();
  RawClient client(server_->port());
  client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
  std::string body = kBody;
  for (char c : body) client.send(std::string("1\r\n") + c + "\r\n");
  client.send("0\r\n\r\n");
  EXPECT_NE(client.read_response().find("Hello from the script."), std::string::npos);

  std::string expecting = post_text(kChat, kBody, "Expect: 100-continue\r\n");
  client.send(expecting.substr(0, expecting.size() - body.size()));
  EXPECT_EQ(client.read_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  client.send(body);
  EXPECT_EQ(status_of(client.read_response()), 200);
  EXPECT_EQ(status(post_text(kChat, kBody, "Expect: miracles\r\n")), 417);
}

TEST_F(HttpServerTest, ARefusedExpectationNeverAsksForTheBody) {
  start();
  RawClient client(server_->port());
  client.send("POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(status_of(client.read_response()), 404);
}

TEST_F(HttpServerTest, AnswersHeadOptionsAndWrongMethods) {
  start();
  RawClient client(server_->port());
  client.send("HEAD /health HTTP/1.1\r\nHost: localhost\r\n\r\n" + get_text("/health"));
  std::string head = client.read_response(true);
  EXPECT_NE(head.find("Content-Length: 15\r\n"), std::string::npos);
  EXPECT_EQ(status_of(client.read_response()), 200);  // directly after the head: it had no body
  std::string options = once("OPTIONS /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(status_of(options), 204);
  EXPECT_NE(options.find("Allow: GET, HEAD, OPTIONS\r\n"), std::string::npos);
  EXPECT_EQ(options.find("Access-Control"), std::string::npos);
  std::string wrong = once("DELETE /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_EQ(status_of(wrong), 405);
  EXPECT_NE(wrong.find("Allow: POST, OPTIONS\r\n"), std::string::npos);
  std::string missing = once(get_text("/v2/models"));
  EXPECT_EQ(status_of(missing), 404);
  EXPECT_NE(missing.find("POST /v1/chat/completions, "), std::string::npos);
}

TEST_F(HttpServerTest, CrossOriginPagesNeedLeave) {
  ServerOptions options;
  options.allowed_origins = {"https://app.example"};
  start(options);
  EXPECT_EQ(status(get_text("/health", "Origin: https://evil.example\r\n")), 403);
  EXPECT_EQ(status(get_text("/health", "Sec-Fetch-Site: cross-site\r\n")), 403);
  std::string allowed = once(get_text("/health", "Origin: https://app.example\r\n"));
  EXPECT_NE(allowed.find("Access-Control-Allow-Origin: https://app.example\r\n"), std::string::npos);
  std::string preflight = once("OPTIONS /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                               "Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n"
                               "Access-Control-Request-Headers: x-one\r\n\r\n");
  EXPECT_EQ(status_of(preflight), 204);
  EXPECT_NE(preflight.find("Access-Control-Allow-Headers: x-one\r\n"), std::string::npos);
  EXPECT_NE(preflight.find("Access-Control-Allow-Methods: POST, OPTIONS\r\n"), std::string::npos);
}

TEST_F(HttpServerTest, RefusesForeignHosts) {
  start();
  EXPECT_EQ(status("GET /health HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 403);
  EXPECT_EQ(status("GET http://evil.example/health HTTP/1.1\r\nHost: localhost\r\n\r\n"), 403);
  EXPECT_EQ(status("GET http://localhost/health HTTP/1.1\r\nHost: localhost\r\n\r\n"), 200);
  EXPECT_EQ(status("GET /health HTTP/1.1\r\n\r\n"), 400);
  EXPECT_EQ(status("GET /health HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"), 400);
  EXPECT_EQ(status("GET /health HTTP/1.0\r\n\r\n"), 200);
}

TEST_F(HttpServerTest, ApiKeyGuardsAllButHealthAndPage) {
  ServerOptions options;
  options.api_key = "secret";
  start(options);
  EXPECT_EQ(status(get_text("/health")), 200);
  EXPECT_EQ(status(get_text("/")), 200);
  EXPECT_EQ(status(get_text("/metrics")), 401);
  EXPECT_EQ(status(get_text("/nowhere")), 401);
  EXPECT_EQ(status(post_text(kChat, kBody)), 401);
  EXPECT_NE(once(get_text("/v1/models")).find("WWW-Authenticate: Bearer"), std::string::npos);
  EXPECT_EQ(status(get_text("/v1/models", "Authorization: Bearer wrong\r\n")), 401);
  EXPECT_EQ(status(get_text("/v1/models", "Authorization: Bearer secret\r\n")), 200);
  EXPECT_EQ(status(post_text(kChat, kBody, "x-api-key: secret\r\n")), 200);
}

TEST_F(HttpServerTest, RefusesWhatIsTooLarge) {
  ServerOptions options;
  options.max_body_bytes = 1000;
  options.max_header_bytes = 4096;
  start(options);
  EXPECT_EQ(status(post_text(kChat, std::string(1001, ' '))), 413);
  EXPECT_EQ(status(post_text(kChat, std::string(5000000, ' '))), 413);  // the answer survives the unread body
  const std::string post = "POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n";
  EXPECT_EQ(status(post + "Content-Length: 99999999999999\r\n\r\n"), 413);
  EXPECT_EQ(status(post + "Transfer-Encoding: chunked\r\n\r\n3e9\r\n" + std::string(1001, ' ') + "\r\n0\r\n\r\n"), 413);
  EXPECT_EQ(status(get_text("/health", "X: " + std::string(5000, 'a') + "\r\n")), 431);
  EXPECT_EQ(status(get_text("/" + std::string(5000, 'a'))), 431);
  std::string many;
  for (int i = 0; i < 1000; ++i) many += "X: y\r\n";
  EXPECT_EQ(status(get_text("/health", many)), 431);
  EXPECT_EQ(status(post + "Transfer-Encoding: chunked\r\n\r\n1;" + std::string(20000, 'e')), 400);
  EXPECT_EQ(status(post_text(kChat, std::string(kBody) + std::string(900, ' '))), 200);
}

// Room for bodies as a test sees it: how much is held, and what is in the way.
struct Rooms {
  std::atomic<int64_t> held{0}, asked{0};
  std::atomic<bool> is_full{false};
  std::shared_future<void> wait;  // before an answer; invalid: none

  Result<std::shared_ptr<void>> hold(int64_t bytes) {
    ++asked;
    if (wait.valid()) wait.wait();
    if (is_full) return unexpected(Code::kNoMemory, "memory is full of tests");
    held += bytes;
    return std::shared_ptr<void>(this, [bytes](void* rooms) { static_cast<Rooms*>(rooms)->held -= bytes; });
  }
  bool is_given_back() const {
    for (int i = 0; i < 2000 && held != 0; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    return held == 0;
  }
};

TEST_F(HttpServerTest, LargeBodiesWaitForRoom) {
  Rooms rooms;
  ServerOptions options;
  options.hold_body = [&](int64_t bytes) { return rooms.hold(bytes); };
  start(options);
  const std::string large = std::string(kBody) + std::string(200'000, ' ');
  EXPECT_EQ(status(post_text(kChat, kBody)), 200);
  EXPECT_EQ(rooms.asked, 0) << "a small one needs none";
  RawClient client(server_->port());
  for (int i = 0; i < 3; ++i) {
    client.send(post_text(kChat, large) + get_text("/health"));
    EXPECT_EQ(status_of(client.read_response()), 200);
    EXPECT_EQ(status_of(client.read_response()), 200);
  }
  EXPECT_EQ(rooms.asked, 3);
  EXPECT_TRUE(rooms.is_given_back()) << "while the connection is open";
  client.send("POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n" +
              fmt::format("{:x}\r\n", large.size()) + large + "\r\n0\r\n\r\n");
  EXPECT_EQ(status_of(client.read_response()), 200);
  EXPECT_EQ(rooms.asked, 4) << "its size is not known before";

  rooms.is_full = true;
  const std::string refused = once(post_text(kChat, large));
  EXPECT_EQ(status_of(refused), 503);
  EXPECT_NE(refused.find("memory is full of tests"), std::string::npos);
  const std::string expecting = post_text(kChat, large, "Expect: 100-continue\r\n");
  EXPECT_EQ(status(expecting.substr(0, expecting.size() - large.size())), 503) << "the body is never asked for";
  EXPECT_TRUE(rooms.is_given_back());
}

TEST_F(HttpServerTest, WhoWaitsForRoomHoldsNobodyUp) {
  Rooms rooms;
  std::promise<void> go;
  rooms.wait = go.get_future().share();
  ServerOptions options;
  options.hold_body = [&](int64_t bytes) { return rooms.hold(bytes); };
  start(options);
  const std::string large = std::string(kBody) + std::string(200'000, ' ');
  RawClient patient(server_->port()), gone(server_->port());
  patient.send(post_text(kChat, large));
  gone.send(post_text(kChat, large));
  while (rooms.asked == 0) std::this_thread::yield();
  EXPECT_EQ(status(get_text("/health", "Connection: close\r\n")), 200);
  gone.reset();
  go.set_value();
  EXPECT_EQ(status_of(patient.read_response()), 200);
  EXPECT_TRUE(rooms.is_given_back());
}

TEST_F(HttpServerTest, RefusesWhatIsNotHttp) {
  start();
  for (const char* bytes : {"nonsense\r\n\r\n", "GET /health HTTP/9.9\r\n\r\n", "GET  HTTP/1.1\r\n\r\n",
                            "\x16\x03\x01\x02\x01\x01\xfc\x03\x03", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
                            "GET / HTTP/1.1\r\nHost localhost\r\n\r\n",
                            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
                            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
                            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n"
                            "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
                            "zz\r\n",
                            "GET /%zz HTTP/1.1\r\nHost: localhost\r\n\r\n"}) {
    EXPECT_EQ(status(bytes), 400) << bytes;
  }
  EXPECT_EQ(status(get_text("/health")), 200);
}

TEST_F(HttpServerTest, SlowHeadersAndBodiesTimeOut) {
  ServerOptions options;
  options.header_timeout_s = 0.2;
  options.body_timeout_s = 0.2;
  start(options);
  RawClient header(server_->port()), body(server_->port()), silent(server_->port());
  header.send("GET /health HTTP/1.1\r\nHost: loc");
  body.send("POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{");
  EXPECT_EQ(status_of(header.read_response()), 408);
  EXPECT_TRUE(header.is_at_end());
  EXPECT_EQ(status_of(body.read_response()), 408);
  EXPECT_EQ(silent.read_all(), "");  // closed without a word
}

TEST_F(HttpServerTest, DrippedHeadersTimeOutToo) {
  ServerOptions options;
  options.header_timeout_s = 0.3;
  start(options);
  RawClient client(server_->port());
  client.send("GET /health HTTP/1.1\r\n");
  // A byte at a time must not prolong the deadline.
  int dripped = 0;
  while (!client.has_answer_within(20) && dripped < 500 && client.send("X")) ++dripped;
  EXPECT_GT(dripped, 1);
  EXPECT_LT(dripped, 500);
  EXPECT_EQ(status_of(client.read_response()), 408);
}

TEST_F(HttpServerTest, IdleConnectionsAreClosed) {
  ServerOptions options;
  options.idle_timeout_s = 0.2;
  start(options);
  RawClient client(server_->port());
  client.send(get_text("/health"));
  EXPECT_EQ(status_of(client.read_response()), 200);
  EXPECT_TRUE(client.is_at_end());
}

TEST_F(HttpServerTest, TooManyConnectionsAreToldToWait) {
  ServerOptions options;
  options.max_connections = 2;
  start(options);
  RawClient one(server_->port()), two(server_->port());
  for (RawClient* client : {&one, &two}) {
    client->send(get_text("/health"));
    EXPECT_EQ(status_of(client->read_response()), 200);
  }
  std::string refused = once(get_text("/health"));
  EXPECT_EQ(status_of(refused), 503);
  EXPECT_NE(refused.find("Retry-After: "), std::string::npos);
  one.send(get_text("/health"));
  EXPECT_EQ(status_of(one.read_response()), 200);
}

TEST_F(HttpServerTest, RequestIdsAreEchoedOrMade) {
  start();
  std::string echoed = once(get_text("/health", "X-Request-Id: my-id.7\r\n"));
  EXPECT_NE(echoed.find("X-Request-Id: my-id.7\r\n"), std::string::npos);
  std::string made = once(get_text("/health", "X-Request-Id: not sane!\r\n"));
  EXPECT_EQ(made.find("not sane"), std::string::npos);
  EXPECT_NE(made.find("X-Request-Id: "), std::string::npos);
  RawClient client(server_->port());
  client.send(post_text(kChat, kBody, "X-Request-Id: abc\r\n"));
  EXPECT_EQ(status_of(client.read_response()), 200);
  EXPECT_TRUE(service_.last_request().id.starts_with("abc/")) << service_.last_request().id;
}

TEST_F(HttpServerTest, APortInUseIsAClearError) {
  start();
  ServerOptions options;
  options.port = server_->port();
  Server second(service_, options);
  auto started = second.start();
  ASSERT_FALSE(started);
  EXPECT_EQ(started.error().code(), Code::kIo);
  EXPECT_NE(started.error().message().find(std::to_string(options.port) + ": Address already in use; another program"),
            std::string::npos) << started.error().message();
  options.host = "no.such.host.invalid";
  EXPECT_NE(Server(service_, options).start().error().message().find("does not resolve"), std::string::npos);
}

TEST_F(HttpServerTest, MetricsCountRoutesAndStatuses) {
  start();
  RawClient client(server_->port());
  client.send(get_text("/health") + get_text("/health") + get_text("/nowhere") + get_text("/metrics"));
  for (int i = 0; i < 3; ++i) client.read_response();
  std::string text = client.read_response();
  for (const char* line : {"hearth_http_requests_total{route=\"/health\",code=\"200\"} 2\n",
                           "hearth_http_requests_total{route=\"other\",code=\"404\"} 1\n",
                           "hearth_http_open_connections 1\n", "hearth_memory_leased_bytes 3145728\n",
                           "hearth_lease_bytes{pool=\"host\",holder=\"scripted\"} 3145728\n",
                           "hearth_queue_seconds_bucket{le=\"0.1\"} 2\n",
                           "hearth_queue_seconds_bucket{le=\"+Inf\"} 4\n",
                           "hearth_queue_seconds_sum 2.5\n", "hearth_queue_seconds_count 4\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

TEST_F(HttpServerTest, ThePageIsSelfContained) {
  start();
  std::string page = once(get_text("/"));
  EXPECT_EQ(status_of(page), 200);
  EXPECT_NE(page.find("text/html"), std::string::npos);
  EXPECT_NE(page.find("Content-Security-Policy: default-src 'none'"), std::string::npos);
  // Its own files, and nothing else.
  const std::regex named("(?:src|href)=\"([^\"]*)\"");
  for (std::sregex_iterator at(page.begin(), page.end(), named), end; at != end; ++at) {
    const std::string target = (*at)[1];
    EXPECT_TRUE(target.starts_with("/hearth/") || target == "/favicon.ico" || target.starts_with("#")) << target;
  }
}

}  // namespace
}  // namespace hearth::server
