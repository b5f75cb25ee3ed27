// What an engine says of a load for which memory is too small: its advisor's words, asked for while other models load,
// and for no longer than somebody waits.
#include <gtest/gtest.h>

#include <condition_variable>

#include "runtime/engine.h"
#include "runtime/testing/tiny_runtime.h"

namespace hearth {
namespace {

using testing::ask;
using testing::Client;
using testing::TinyRuntime;

// An engine over the tiny models, "llama" and "gemma3".
class EngineAdviceTest : public ::testing::Test {
 protected:
  EngineOptions options() {
    EngineOptions out{.device = {DeviceKind::kCpu}, .caps = cpu_caps(2), .threads = 2};
    for (const char* architecture : {"llama", "gemma3"}) out.models.push_back({.load = files_.options(architecture)});
    return out;
  }
  void start(EngineOptions options, int64_t budget_bytes) {
    budget_ = std::make_unique<governor::Budget>("cpu", budget_bytes);
    memory_ = std::make_unique<governor::LeasedAllocator>(*budget_, options.device);
    engine_ = std::make_unique<Engine>(std::move(options), *memory_);
  }
  int64_t bytes_of(const char* architecture) {
    return LoadedModel::load(files_.options(architecture), files_.executor, files_.memory)->held_bytes();
  }

  TinyRuntime files_;
  std::unique_ptr<governor::Budget> budget_;
  std::unique_ptr<governor::LeasedAllocator> memory_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineAdviceTest, ARefusalGoesThroughTheAdvisor) {
  const int64_t llama = bytes_of("llama");
  EngineOptions advised = options();
  std::string asked_about;
  advised.advise = [&](const Error& refusal, const LoadOptions& load, const std::stop_token&) {
    asked_about = load.name;
    return governor::with_choices(refusal, {{Value::object({{"context", 16}}), "a context of 16"}});
  };
  start(std::move(advised), llama - 1024);
  Client client;
  engine_->submit(ask("llama", "hello"), client.sink());
  client.wait();
  const Error refused = client.error.value_or(Error(Code::kInternal, "it was not refused"));
  EXPECT_EQ(refused.code(), Code::kNoMemory);
  EXPECT_EQ(asked_about, "llama");
  ASSERT_TRUE(refused.details());
  const int64_t tokenizer = refused.details()->at("leased_bytes").as_int();
  EXPECT_EQ(refused.details()->at("needed_bytes").as_int() + tokenizer, llama);
  EXPECT_EQ(refused.details()->at("budget_bytes").as_int(), llama - 1024);
  EXPECT_EQ(refused.details()->at("would_fit").as_list()[0].at("context").as_int(), 16);
  EXPECT_NE(refused.message().find("What would fit: a context of 16"), std::string::npos) << refused.message();
}

// Advice that lasts until it is told to stop.
class SlowAdvice {
 public:
  Error operator()(const Error& refusal, const LoadOptions&, const std::stop_token& stop) {
    is_asked = true;
    std::mutex mutex;
    std::unique_lock lock(mutex);
    std::condition_variable_any never;
    never.wait(lock, stop, [] { return false; });
    return refusal;
  }
  std::atomic<bool> is_asked{false};
};

TEST_F(EngineAdviceTest, OtherModelsLoadWhileARefusalIsExplained) {
  SlowAdvice slow;
  EngineOptions advised = options();
  advised.advise = std::ref(slow);
  advised.models[0].load.context = 128;
  advised.models[0].load.parallel = 64;  // more than the budget holds
  start(std::move(advised), bytes_of("gemma3") + 4096);
  Client refused;
  engine_->submit(ask("llama", "hello"), refused.sink());
  while (!slow.is_asked) std::this_thread::yield();
  Client other;
  engine_->submit(ask("gemma3", "x"), other.sink());
  other.wait();
  EXPECT_FALSE(other.error) << "nobody waits for advice to another";
  engine_->shutdown(0);
  refused.wait();
  ASSERT_TRUE(refused.error) << "the shutdown ended the advice";
  EXPECT_EQ(refused.error->code(), Code::kNoMemory);
}

TEST_F(EngineAdviceTest, CancellingARequestEndsTheAdviceToIt) {
  SlowAdvice slow;
  EngineOptions advised = options();
  advised.advise = std::ref(slow);
  start(std::move(advised), bytes_of("llama") - 1024);
  Client client;
  GenerateRequest request = ask("llama", "hello");
  request.id = "mine";
  engine_->submit(request, client.sink());
  while (!slow.is_asked) std::this_thread::yield();
  engine_->cancel("another");
  engine_->cancel("mine");
  while (engine_->stats().waiting > 0) std::this_thread::yield();
  EXPECT_EQ(engine_->stats().cancelled, 1);
}

}  // namespace
}  // namespace hearth
