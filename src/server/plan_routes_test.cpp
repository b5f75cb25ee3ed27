// GET /plan over a real server: answers, refusals in the server's form, and no waiting for others meanwhile.
#include "server/plan_routes.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <future>
#include <mutex>
#include <thread>

#include <gtest/gtest.h>

#include "core/base/log.h"
#include "core/base/units.h"
#include "formats/json/json.h"
#include "planner/catalogue/catalogue.h"
#include "server/server.h"
#include "server/testing/raw_client.h"
#include "server/testing/scripted_service.h"

namespace hearth::server {
namespace {

// One GB10, of which 20 GiB are free; a machine "slow" whose measuring waits to be let go.
class PlanRoutesTest : public testing::Test {
 protected:
  void SetUp() override {
    log::set_level(log::Level::kOff);
    planner::Desk desk{.machines = [this](const std::string& name) { return machines(name); },
                       .room = [](bool) { return std::optional(planner::Room{20 * GiB, 0}); }};
    ServerOptions options;
    options.port = 0;
    server_ = std::make_unique<Server>(service_, options, ComfyOptions(), nullptr, std::move(desk));
    server_->start().value();
  }
  void TearDown() override {
    let_go();
    log::set_level(log::Level::kInfo);
  }

  Result<planner::Machines> machines(const std::string& name) {
    std::unique_lock lock(mutex_);
    if (name == "slow") {
      is_waiting_ = true;
      changed_.notify_all();
      changed_.wait(lock, [&] { return may_go_on_; });
    }
    return planner::Catalogue::built_in().machines(name == "this" || name == "slow" ? "gb10" : name);
  }
  void let_go() {
    std::lock_guard lock(mutex_);
    may_go_on_ = true;
    changed_.notify_all();
  }
  std::string get(const std::string& target) {
    RawClient client(server_->port());
    client.send("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n");
    return client.read_response();
  }
  static Value body_of(const std::string& response) {
    return json::parse(response.substr(response.find("\r\n\r\n") + 4)).value();
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  bool is_waiting_ = false, may_go_on_ = false;
  ScriptedService service_;
  std::unique_ptr<Server> server_;
};

TEST_F(PlanRoutesTest, AnswersForPicturesAndForWords) {
  const std::string response = get("/plan?model=sdxl&width=512&height=512&batch=auto");
  EXPECT_TRUE(response.starts_with("HTTP/1.1 200")) << response;
  const Value pictures = body_of(response);
  EXPECT_EQ(pictures.at("kind").as_string(), "picture");
  EXPECT_EQ(pictures.at("batch"), pictures.at("now").at("largest_batch"));
  EXPECT_GE(pictures.at("batch").as_int(), 2);
  EXPECT_GT(pictures.at("seconds").as_double(), 0);
  EXPECT_EQ(pictures.at("plan").at("models").as_list().size(), 1u);
  const Value words = body_of(get("/plan?model=llama-3.1-8b&quant=q4_k_m&ctx=4096&parallel=2&machine=rtx4090"));
  EXPECT_EQ(words.at("context").as_int(), 4096);
  EXPECT_EQ(words.at("machine").as_string(), "rtx4090");
  EXPECT_TRUE(words.at("fits").as_bool());
  EXPECT_FALSE(words.find("now"));
  EXPECT_EQ(body_of(get("/plan?model=sdxl%2Brefiner")).at("model").as_string(), "sdxl+refiner");
}

TEST_F(PlanRoutesTest, RefusesInTheServersForm) {
  const std::string missing = get("/plan?model=sdxm");
  EXPECT_TRUE(missing.starts_with("HTTP/1.1 404")) << missing;
  EXPECT_NE(body_of(missing).at("error").at("message").as_string().find("did you mean 'sdxl'"), std::string::npos);
  const std::string wrong = get("/plan?model=sdxl&width=12");
  EXPECT_TRUE(wrong.starts_with("HTTP/1.1 400")) << wrong;
  EXPECT_EQ(body_of(wrong).at("error").at("param").as_string(), "width");
  EXPECT_NE(body_of(wrong).at("error").at("message").as_string().find("from 16 to 16384"), std::string::npos);
  EXPECT_EQ(body_of(get("/plan")).at("error").at("param").as_string(), "model");
  EXPECT_EQ(body_of(get("/plan?model=sdxl&machine=gb11")).at("error").at("param").as_string(), "machine");
  EXPECT_TRUE(get("/plan?model=%2Fetc%2Fhostname").starts_with("HTTP/1.1 404")) << "paths are not for clients";
}

TEST_F(PlanRoutesTest, NobodyWaitsForAPlan) {
  RawClient slow(server_->port());
  slow.send("GET /plan?model=qwen3-0.6b&quant=q8_0&machine=slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return is_waiting_; });
  }
  for (int i = 0; i < 8; ++i) EXPECT_NE(get("/health").find("ok"), std::string::npos) << "the plan is still being made";
  let_go();
  EXPECT_EQ(body_of(slow.read_response()).at("machine").as_string(), "gb10");
}

// A client that a test can let hang up.
class Client final : public http::ResponseWriter {
 public:
  void respond(http::HttpResponse response) override { answer.set_value(std::move(response)); }
  void start_stream(http::HttpResponse) override {}
  void write(std::string) override {}
  void finish() override {}
  size_t unsent_bytes() const override { return 0; }
  bool is_aborted() const override { return has_gone_; }
  void on_abort(std::function<void(http::AbortReason)> callback) override { at_end_ = std::move(callback); }
  void on_silence(std::function<void()>) override {}
  void post(std::function<void()>) override {}
  void hang_up() {
    has_gone_ = true;
    at_end_(http::AbortReason::kHungUp);
  }
  std::promise<http::HttpResponse> answer;

 private:
  std::atomic<bool> has_gone_{false};
  std::function<void(http::AbortReason)> at_end_;
};

TEST(PlanRoutes, FewWaitAndOthersAreToldToComeAgain) {
  std::promise<void> let_go;
  const std::shared_future<void> go_on = let_go.get_future().share();
  std::atomic<int> begun{0};
  PlanRoutes plans({.machines = [&](const std::string& name) {
    ++begun;
    go_on.wait();
    return planner::Catalogue::built_in().machines(name);
  }});
  const http::Route route = plans.routes().front();
  http::HttpRequest request;
  request.query = "model=sd1.5&machine=gb10";
  auto ask = [&] {
    auto client = std::make_shared<Client>();
    route.handler(request, client);
    return client;
  };
  std::vector<std::shared_ptr<Client>> clients;
  for (int i = 0; i < PlanRoutes::kMost; ++i) clients.push_back(ask());
  const http::HttpResponse refused = ask()->answer.get_future().get();
  EXPECT_EQ(refused.status, 503);
  EXPECT_TRUE(std::any_of(refused.headers.begin(), refused.headers.end(),
                          [](const auto& header) { return header.first == "Retry-After"; }));
  clients.back()->hang_up();  // it makes room, and is not made
  clients.back() = ask();
  let_go.set_value();
  for (const auto& client : clients) EXPECT_EQ(client->answer.get_future().get().status, 200);
  EXPECT_EQ(begun, PlanRoutes::kMost);
  plans.stop();
  EXPECT_EQ(ask()->answer.get_future().get().status, 503);
}

TEST(PlanRoutes, AStopBeginsNoneOfThoseThatWait) {
  std::promise<void> begun, let_go;
  const std::shared_future<void> go_on = let_go.get_future().share();
  std::atomic<int> looks{0};
  PlanRoutes plans({.machines = [&](const std::string& name) {
    if (++looks == 1) begun.set_value();
    go_on.wait();
    return planner::Catalogue::built_in().machines(name);
  }});
  const http::Route route = plans.routes().front();
  http::HttpRequest request;
  request.query = "model=sd1.5&machine=gb10";
  const std::vector<std::shared_ptr<Client>> clients{std::make_shared<Client>(), std::make_shared<Client>()};
  for (const auto& client : clients) route.handler(request, client);
  begun.get_future().wait();
  plans.stop();
  let_go.set_value();
  for (const auto& client : clients) EXPECT_EQ(client->answer.get_future().get().status, 503);
  EXPECT_EQ(looks, 1) << "what waited is not looked up any more";
}

TEST_F(PlanRoutesTest, AStopEndsThePlanUnderWay) {
  RawClient slow(server_->port());
  slow.send("GET /plan?model=qwen3-0.6b&quant=q8_0&machine=slow HTTP/1.1\r\nHost: localhost\r\n\r\n");
  {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return is_waiting_; });
  }
  std::thread stopping([&] { server_->stop(10); });
  while (RawClient(server_->port()).is_connected()) std::this_thread::yield();
  let_go();
  const std::string answer = slow.read_response();
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 503")) << answer;
  EXPECT_NE(answer.find("the server is stopping"), std::string::npos) << answer;
  stopping.join();
}

TEST(PlanRoutes, AreNotThereWithoutADesk) {
  log::set_level(log::Level::kOff);
  ScriptedService service;
  ServerOptions options;
  options.port = 0;
  Server server(service, options);
  server.start().value();
  RawClient client(server.port());
  client.send("GET /plan?model=sdxl HTTP/1.1\r\nHost: localhost\r\n\r\n");
  EXPECT_TRUE(client.read_response().starts_with("HTTP/1.1 404"));
  log::set_level(log::Level::kInfo);
}

}  // namespace
}  // namespace hearth::server
