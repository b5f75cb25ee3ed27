// GET /plan over a real server: answers, refusals in the server's form, and no waiting for others meanwhile.
#include "server/plan_routes.h"

#include <atomic>
#include <condition_variable>
#include <mutex>

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
    planner::Desk desk{.machine = [this](const std::string& name, bool) { return machine(name); },
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

  Result<planner::Machine> machine(const std::string& name) {
    std::unique_lock lock(mutex_);
    if (name == "slow") {
      is_waiting_ = true;
      changed_.notify_all();
      changed_.wait(lock, [&] { return may_go_on_; });
    }
    return planner::Catalogue::built_in().machine(name == "this" || name == "slow" ? "gb10" : name);
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
