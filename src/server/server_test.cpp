// Generations through the server: answers, errors, hang-ups, clients that do not read, stopping under load.
#include "server/server.h"

#include <chrono>
#include <thread>

#include <gtest/gtest.h>

#include "core/base/log.h"
#include "server/testing/raw_client.h"
#include "server/testing/scripted_service.h"

namespace hearth::server {
namespace {

using Clock = std::chrono::steady_clock;
constexpr const char* kChat = "/v1/chat/completions";

std::string chat_body(std::string_view model, std::string_view more = "") {
  return "{\"model\":\"" + std::string(model) + "\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" +
         std::string(more) + "}";
}

class ServerTest : public testing::Test {
 protected:
  void SetUp() override { log::set_level(log::Level::kOff); }
  void TearDown() override { log::set_level(log::Level::kInfo); }
  void start(ServerOptions options = {}) {
    options.port = 0;
    server_ = std::make_unique<Server>(service_, options);
    server_->start().value();
  }
  std::string chat(std::string_view model, std::string_view more = "") {
    RawClient client(server_->port());
    client.send(post_text(kChat, chat_body(model, more)));
    return client.read_response();
  }
  // Connections close on the network thread; the only sign of it from outside is the count.
  bool wait_no_connections() {
    auto until = Clock::now() + std::chrono::seconds(20);
    while (server_->open_connections() > 0 && Clock::now() < until) std::this_thread::yield();
    return server_->open_connections() == 0;
  }

  ScriptedService service_;
  std::unique_ptr<Server> server_;
};

TEST_F(ServerTest, AnswersPlainAndStreamed) {
  start();
  EXPECT_NE(chat("").find(R"("content":"Hello from the script.")"), std::string::npos);
  std::string streamed = chat("scripted", R"(,"stream":true,"stream_options":{"include_usage":true})");
  EXPECT_NE(streamed.find("Content-Type: text/event-stream"), std::string::npos);
  EXPECT_NE(streamed.find(R"("delta":{"content":" script"})"), std::string::npos);
  EXPECT_NE(streamed.find(R"("completion_tokens":5)"), std::string::npos);
  EXPECT_TRUE(streamed.ends_with("data: [DONE]\n\n"));
}

TEST_F(ServerTest, StreamsToHttp10UntilClose) {
  start();
  RawClient client(server_->port());
  std::string body = chat_body("scripted", R"(,"stream":true)");
  client.send("POST /v1/chat/completions HTTP/1.0\r\nHost: localhost\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body);
  std::string answer = client.read_all();
  EXPECT_EQ(answer.find("chunked"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("data: [DONE]\n\n")) << answer;
}

TEST_F(ServerTest, RefusalsOfTheServiceHaveTheirStatus) {
  start();
  const std::tuple<const char*, int, const char*> cases[] = {
      {"nobody", 404, "\"code\":\"model_not_found\""}, {"busy", 429, "Retry-After: "},
      {"no-memory", 503, "\"code\":\"no_memory\""},    {"too-long", 400, "\"code\":\"context_length_exceeded\""},
      {"internal", 500, "\"code\":\"internal\""},      {"cancelled", 499, "\"code\":\"cancelled\""},
      {"midway", 500, "\"code\":\"device\""},
  };
  for (auto [model, status, part] : cases) {
    for (const char* more : {"", R"(,"stream":true)"}) {
      if (std::string_view(model) == "midway" && *more) continue;
      std::string answer = chat(model, more);
      EXPECT_EQ(status_of(answer), status) << answer;
      EXPECT_NE(answer.find(part), std::string::npos) << answer;
    }
  }
}

TEST_F(ServerTest, AFailureMidStreamIsAnEventAndTheEnd) {
  start();
  std::string answer = chat("midway", R"(,"stream":true)");
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_NE(answer.find(R"("content":" from")"), std::string::npos);
  EXPECT_NE(answer.find("data: {\"error\":{\"message\":\"the script says: the device is gone\""), std::string::npos);
  EXPECT_EQ(answer.find("[DONE]"), std::string::npos);
  EXPECT_EQ(answer.find("<cut off>"), std::string::npos);
}

TEST_F(ServerTest, ALostRequestIsA500OrACut) {
  start();
  EXPECT_EQ(status_of(chat("drops")), 500);
  EXPECT_TRUE(chat("drops", R"(,"stream":true)").ends_with("<cut off>"));
}

TEST_F(ServerTest, BadFieldsNeverReachTheService) {
  start();
  std::string answer = chat("scripted", R"(,"temperature":9)");
  EXPECT_EQ(status_of(answer), 400);
  EXPECT_NE(answer.find(R"("param":"temperature")"), std::string::npos);
  EXPECT_EQ(service_.stats().requests, 0u);
}

TEST_F(ServerTest, HangingUpWhileWaitingCancels) {
  start();
  RawClient client(server_->port());
  client.send(post_text(kChat, chat_body("dead")));
  ASSERT_TRUE(service_.wait_alive(1));
  client.hang_up();
  EXPECT_TRUE(service_.wait_cancelled(1));
  EXPECT_TRUE(wait_no_connections());
}

TEST_F(ServerTest, HangingUpWhileStreamingCancels) {
  start();
  for (const char* model : {"stalls", "slow"}) {
    RawClient client(server_->port());
    client.send(post_text(kChat, chat_body(model, R"(,"stream":true)")));
    EXPECT_NE(client.read_until("assistant").find("200 OK"), std::string::npos);
    client.reset();
  }
  EXPECT_TRUE(service_.wait_cancelled(2));
  EXPECT_TRUE(service_.wait_alive(0));
  EXPECT_TRUE(wait_no_connections());
}

TEST_F(ServerTest, TwoHundredHangUpsLeaveNothing) {
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 200; ++i) {
    clients.push_back(std::make_unique<RawClient>(server_->port()));
    clients.back()->send(post_text(kChat, chat_body(i % 2 ? "slow" : "dead", i % 4 < 2 ? R"(,"stream":true)" : "")));
    if (i % 3 == 0) clients.back()->hang_up();
    if (i % 3 == 1) clients.back()->reset();
  }
  ASSERT_TRUE(service_.wait_submitted(66));  // at least those that stayed on the line
  clients.clear();
  EXPECT_TRUE(wait_no_connections());
  EXPECT_TRUE(service_.wait_alive(0));
  EXPECT_EQ(status_of(chat("scripted")), 200);
}

TEST_F(ServerTest, TheSameRequestIdTwiceCancelsOnlyOne) {
  start();
  RawClient one(server_->port()), two(server_->port());
  one.send(post_text(kChat, chat_body("dead"), "X-Request-Id: same\r\n"));
  two.send(post_text(kChat, chat_body("dead"), "X-Request-Id: same\r\n"));
  ASSERT_TRUE(service_.wait_alive(2));
  one.hang_up();
  EXPECT_TRUE(service_.wait_cancelled(1));
  EXPECT_TRUE(service_.wait_alive(1));
}

TEST_F(ServerTest, AClientThatDoesNotReadIsCutOff) {
  ServerOptions options;
  options.max_unsent_bytes = 256 << 10;
  start(options);
  RawClient client(server_->port(), 4096);
  client.send(post_text(kChat, chat_body("endless", R"(,"stream":true)")));
  EXPECT_TRUE(service_.wait_cancelled(1));
  EXPECT_TRUE(wait_no_connections());
}

TEST_F(ServerTest, AStalledWriteTimesOut) {
  ServerOptions options;
  options.max_unsent_bytes = int64_t{1} << 40;
  options.write_timeout_s = 0.2;
  start(options);
  RawClient client(server_->port(), 4096);
  client.send(post_text(kChat, chat_body("endless", R"(,"stream":true,"max_tokens":20000)")));
  EXPECT_TRUE(wait_no_connections());
}

TEST_F(ServerTest, RequestsTimeOut) {
  ServerOptions options;
  options.request_timeout_s = 0.2;
  start(options);
  EXPECT_EQ(status_of(chat("dead")), 504);
  std::string streamed = chat("stalls", R"(,"stream":true)");
  EXPECT_EQ(status_of(streamed), 200);
  EXPECT_NE(streamed.find(R"("code":"timeout")"), std::string::npos);
  EXPECT_TRUE(service_.wait_cancelled(2));
}

TEST_F(ServerTest, ASilentStreamIsKeptAliveByComments) {
  ServerOptions options;
  options.stream_keep_alive_s = 0.02;
  start(options);
  for (const char* model : {"dead", "stalls"}) {  // before the first event and after it
    RawClient client(server_->port());
    client.send(post_text(kChat, chat_body(model, R"(,"stream":true)")));
    std::string head = client.read_until(": keep-alive\n\n");
    EXPECT_EQ(status_of(head), 200);
    EXPECT_NE(head.find("text/event-stream"), std::string::npos);
    EXPECT_NE(client.read_until(": keep-alive\n\n").find(": keep-alive\n\n"), std::string::npos) << "again and again";
  }
  EXPECT_TRUE(service_.wait_cancelled(2));
}

TEST_F(ServerTest, AFailureAfterAKeepAliveIsAnEvent) {
  ServerOptions options;
  options.stream_keep_alive_s = 0.02;
  options.request_timeout_s = 0.2;
  start(options);
  std::string answer = chat("dead", R"(,"stream":true)");
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_NE(answer.find(": keep-alive\n\n"), std::string::npos);
  EXPECT_NE(answer.find("data: {\"error\":"), std::string::npos) << answer;
  EXPECT_NE(answer.find(R"("code":"timeout")"), std::string::npos);
  EXPECT_EQ(answer.find("<cut off>"), std::string::npos);
}

TEST_F(ServerTest, PlainAnswersAndBusyStreamsGetNoComments) {
  ServerOptions options;
  options.stream_keep_alive_s = 0.2;
  options.request_timeout_s = 0.5;
  start(options);
  EXPECT_EQ(status_of(chat("dead")), 504) << "a plain answer has one status";
  options.request_timeout_s = 0;
  start(options);
  std::string busy = chat("slow", R"(,"stream":true,"max_tokens":30)");  // 20 ms apart: 600 ms in all
  EXPECT_NE(busy.find("[DONE]"), std::string::npos);
  EXPECT_EQ(busy.find("keep-alive\n\n"), std::string::npos) << busy;
  RawClient reused(server_->port());  // nothing is left of the stream before
  reused.send(post_text(kChat, chat_body("scripted", R"(,"stream":true)")) +
              post_text(kChat, chat_body("slow", R"(,"max_tokens":20)")));
  EXPECT_NE(reused.read_response().find("[DONE]"), std::string::npos);
  EXPECT_EQ(status_of(reused.read_response()), 200);
}

TEST_F(ServerTest, AFullQueueIsA429) {
  ServerOptions options;
  options.max_queue = 2;
  start(options);
  RawClient one(server_->port()), two(server_->port());
  for (RawClient* client : {&one, &two}) client->send(post_text(kChat, chat_body("dead")));
  ASSERT_TRUE(service_.wait_alive(2));
  std::string refused = chat("scripted");
  EXPECT_EQ(status_of(refused), 429);
  EXPECT_NE(refused.find("Retry-After: "), std::string::npos);
  one.hang_up();
  ASSERT_TRUE(service_.wait_alive(1));
  // The slot is free a moment after the service has heard of it.
  int status = 429;
  for (auto until = Clock::now() + std::chrono::seconds(20); status == 429 && Clock::now() < until;) {
    status = status_of(chat("scripted"));
  }
  EXPECT_EQ(status, 200);
}

TEST_F(ServerTest, StoppingUnderLoadIsQuickAndTold) {
  start();
  std::vector<std::unique_ptr<RawClient>> clients;
  for (int i = 0; i < 40; ++i) {
    clients.push_back(std::make_unique<RawClient>(server_->port()));
    clients.back()->send(post_text(kChat, chat_body(i % 2 ? "slow" : "dead", i % 4 < 2 ? R"(,"stream":true)" : "")));
  }
  RawClient idle(server_->port());
  ASSERT_TRUE(service_.wait_submitted(40));
  auto begun = Clock::now();
  server_->stop(0.3);
  EXPECT_LT(std::chrono::duration<double>(Clock::now() - begun).count(), 5);
  EXPECT_EQ(server_->open_connections(), 0);
  EXPECT_TRUE(service_.wait_cancelled(40));
  EXPECT_EQ(idle.read_all(), "");
  std::string dead = clients[2]->read_response();
  EXPECT_EQ(status_of(dead), 503) << dead;
  EXPECT_NE(dead.find("the server is stopping"), std::string::npos);
  EXPECT_NE(clients[1]->read_response().find("the server is stopping"), std::string::npos);
  EXPECT_FALSE(RawClient(server_->port()).is_connected());
}

TEST_F(ServerTest, StoppingLetsRunningRequestsEnd) {
  start();
  RawClient client(server_->port());
  client.send(post_text(kChat, chat_body("slow", R"(,"max_tokens":10)")));
  ASSERT_TRUE(service_.wait_alive(1));
  server_->stop(10);
  std::string answer = client.read_response();
  EXPECT_EQ(status_of(answer), 200);
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
}

TEST_F(ServerTest, AServiceMayOutliveTheServer) {
  start();
  RawClient client(server_->port());
  client.send(post_text(kChat, chat_body("stalls", R"(,"stream":true)")));
  ASSERT_TRUE(service_.wait_alive(1));
  server_.reset();
  EXPECT_TRUE(service_.wait_cancelled(1));
}

}  // namespace
}  // namespace hearth::server
