// Pages of a model's state go back to the host while the model stays, and come again before they are used: nobody who
// runs is harmed, and whoever cannot have them waits or hears why.
#include <gtest/gtest.h>

#include <atomic>
#include <functional>
#include <optional>
#include <thread>
#include <utility>

#include "runtime/engine.h"
#include "runtime/testing/tiny_runtime.h"

namespace hearth {
namespace {

using testing::ask;
using testing::Client;
using testing::TinyRuntime;

// Pages of the tiny models that are whole pages of the host's memory, so that they can be given back to it.
class PagesGoTest : public ::testing::Test {
 protected:
  static constexpr int64_t kPageTokens = 64, kContext = 256;
  static constexpr int64_t kEverything = int64_t{1} << 40;

  EngineOptions with_large_pages() {
    EngineOptions out{.device = {DeviceKind::kCpu}, .caps = cpu_caps(2), .threads = 2};
    for (const char* architecture : {"llama", "gemma3"}) {
      LoadOptions load = files_.options(architecture);
      load.page_tokens = kPageTokens;
      load.state_tokens = 8 * kContext;
      out.models.push_back({.load = load});
    }
    return out;
  }
  void start(EngineOptions options, int64_t budget_bytes = int64_t{64} << 20) {
    engine_.reset();
    memory_.reset();
    budget_ = std::make_unique<governor::Budget>("cpu", budget_bytes);
    memory_ = std::make_unique<governor::LeasedAllocator>(*budget_, options.device);
    engine_ = std::make_unique<Engine>(std::move(options), *memory_);
  }
  std::unique_ptr<Client> run(GenerateRequest request) {
    auto client = std::make_unique<Client>();
    engine_->submit(std::move(request), client->sink());
    client->wait();
    return client;
  }
  Error refusal(GenerateRequest request) {
    return run(std::move(request))->error.value_or(Error(Code::kInternal, "it was not refused"));
  }
  // Requests leave the books just after their Done.
  void wait_idle() {
    for (;;) {
      const EngineStats stats = engine_->stats();
      if (stats.running + stats.waiting == 0 && stats.pages_used == 0) return;
      std::this_thread::yield();
    }
  }
  bool is_loaded(const std::string& name) { return resident(name).bytes > 0; }
  governor::Resident resident(const std::string& name) {
    for (const governor::Resident& there : engine_->residents()) {
      if (there.name == name) return there;
    }
    return {};
  }
  // After it has answered once, and nothing runs.
  std::unique_ptr<Client> load(const std::string& name) {
    std::unique_ptr<Client> client = run(ask(name, kText, 40));
    EXPECT_FALSE(client->error) << client->error->message();
    wait_idle();
    return client;
  }
  const std::string kText = std::string(70, 'h') + "ello there";
  TinyRuntime files_;
  std::unique_ptr<governor::Budget> budget_;
  std::unique_ptr<governor::LeasedAllocator> memory_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(PagesGoTest, GoBackToTheHostAndAreTakenAgainByTheNextRequest) {
  start(with_large_pages());
  const std::unique_ptr<Client> first = load("llama");
  const int64_t before = budget_->leased_bytes();
  const governor::Resident whole = resident("llama");
  EXPECT_EQ(whole.bytes, before);
  EXPECT_GT(whole.cached_bytes, 0);
  EXPECT_GT(whole.unused_bytes, whole.cached_bytes);
  const int64_t given = engine_->shrink(kEverything, /*with_cached=*/true);
  EXPECT_EQ(given, whole.spare_bytes());
  EXPECT_EQ(budget_->leased_bytes(), before - given);
  EXPECT_EQ(resident("llama").bytes, before - given);
  EXPECT_EQ(engine_->models()[0].resident_bytes, before - given);
  EXPECT_EQ(resident("llama").spare_bytes(), 0);
  EXPECT_EQ(engine_->stats().pages_total, 0) << "nothing ran since";
  EXPECT_EQ(engine_->stats().pages_cached, 0);
  EXPECT_EQ(budget_->journal().entries().back().who, "spare pages of llama");

  const std::unique_ptr<Client> second = load("llama");
  EXPECT_EQ(testing::difference(*second, *first), "");
  EXPECT_EQ(second->usage->cached_tokens, 0) << "its beginning went";
  EXPECT_EQ(budget_->leased_bytes(), before);
  const std::unique_ptr<Client> third = load("llama");
  EXPECT_EQ(testing::difference(*third, *first), "");
  EXPECT_EQ(third->usage->cached_tokens, kPageTokens);
}

TEST_F(PagesGoTest, ThoseOfAPinnedModelMakeRoomForAnother) {
  EngineOptions pinned = with_large_pages();
  pinned.models[0].keep_alive_s = -1;
  start(pinned);
  load("llama");
  const int64_t llama = budget_->leased_bytes(), spare = resident("llama").spare_bytes();
  load("gemma3");
  const int64_t gemma = budget_->leased_bytes() - llama;
  start(std::move(pinned), llama + gemma - spare / 2);
  const std::unique_ptr<Client> first = load("llama");
  load("gemma3");
  EXPECT_TRUE(is_loaded("llama"));
  EXPECT_LT(resident("llama").bytes, llama);
  EXPECT_LE(budget_->peak_bytes(), budget_->limit_bytes());
  EXPECT_EQ(testing::difference(*load("llama"), *first), "");
  EXPECT_TRUE(is_loaded("gemma3")) << "both stay, with less room for beginnings";
}

TEST_F(PagesGoTest, ARequestThatCannotHaveThemAgainIsRefusedWithNumbers) {
  start(with_large_pages());
  load("llama");
  engine_->shrink(kEverything, true);
  std::optional<governor::Lease> others = *budget_->take(budget_->free_bytes(), "another program");
  const Error refused = refusal(ask("llama", kText, 40));
  EXPECT_EQ(refused.code(), Code::kNoMemory);
  EXPECT_NE(refused.message().find("state llama needs"), std::string::npos) << refused.message();
  EXPECT_EQ(refused.details()->at("wanted_by").as_string(), "state llama");
  EXPECT_EQ(budget_->journal().counts().refusals, 1u);
  wait_idle();
  others.reset();
  load("llama");

  // With two of its pages there is something to propose, and the proposal holds.
  const int64_t page = engine_->shrink(kEverything, true) / (8 * kContext / kPageTokens);
  others = *budget_->take(budget_->free_bytes() - 2 * page, "another program");
  ASSERT_FALSE(run(ask("llama", kText, 20))->error) << "two pages are enough for this one";
  wait_idle();
  const Error longer = refusal(ask("llama", kText, 150));
  const Value* choices = longer.details()->find("would_fit");
  ASSERT_TRUE(choices) << longer.message();
  const int64_t most = choices->as_list()[0].at("max_tokens").as_int();
  EXPECT_NE(longer.message().find("max_tokens"), std::string::npos);
  wait_idle();
  EXPECT_FALSE(run(ask("llama", kText, most))->error);
  wait_idle();
  EXPECT_TRUE(run(ask("llama", kText, most + 1))->error);
}

TEST_F(PagesGoTest, WhatIsProposedForSeveralChoicesHolds) {
  for (const int64_t pages : {3, 4}) {
    start(with_large_pages());
    load("llama");
    const int64_t page = engine_->shrink(kEverything, true) / (8 * kContext / kPageTokens);
    const governor::Lease others = *budget_->take(budget_->free_bytes() - pages * page, "another program");
    ASSERT_FALSE(run(ask("llama", kText, pages * kPageTokens - 90))->error) << "as many as there is room for";
    wait_idle();
    GenerateRequest two = ask("llama", kText, 150);
    two.choices = 2;
    const Error refused = refusal(two);
    const Value* choices = refused.details()->find("would_fit");
    ASSERT_EQ(choices != nullptr, pages == 4) << "each begins with two: " << refused.message();
    if (!choices) continue;
    wait_idle();
    two.max_tokens = choices->as_list()[0].at("max_tokens").as_int();
    EXPECT_FALSE(run(two)->error);
    wait_idle();
    ++*two.max_tokens;
    EXPECT_TRUE(run(two)->error);
  }
}

TEST_F(PagesGoTest, ARequestWaitsForThoseThatARunningOneWasPromised) {
  start(with_large_pages());
  load("llama");
  const int64_t page = engine_->shrink(kEverything, true) / (8 * kContext / kPageTokens);
  // Room for one request of a whole context.
  const governor::Lease others = *budget_->take(budget_->free_bytes() - kContext / kPageTokens * page, "another");
  Client first, second;
  std::atomic<bool> first_ended = false, was_early = false;
  first.on_event = [&](const GenerateEvent& event) {
    if (std::holds_alternative<Started>(event)) {
      engine_->submit(ask("llama", kText, kContext - 100), second.sink());
    }
    if (std::holds_alternative<Done>(event)) first_ended = true;
  };
  second.on_event = [&](const GenerateEvent& event) {
    if (std::holds_alternative<Started>(event) && !first_ended) was_early = true;
  };
  engine_->submit(ask("llama", kText, kContext - 100), first.sink());
  first.wait();
  second.wait();
  ASSERT_FALSE(first.error || second.error) << (first.error ? first.error : second.error)->message();
  EXPECT_FALSE(was_early);
  EXPECT_EQ(testing::difference(first, second), "");
}

// `act` is called with the number of each piece of text of a request for "llama" that runs.
std::unique_ptr<Client> client_that(const std::function<void(int delta)>& act) {
  auto client = std::make_unique<Client>();
  client->on_event = [act, delta = 0](const GenerateEvent& event) mutable {
    if (std::holds_alternative<Delta>(event)) act(delta++);
  };
  return client;
}

TEST_F(PagesGoTest, WhoWaitsForATurnKeepsNoneFromOthers) {
  EngineOptions one_at_a_time = with_large_pages();
  one_at_a_time.models[0].load.parallel = 1;
  start(std::move(one_at_a_time));
  load("llama");
  const int64_t all = resident("llama").spare_bytes();  // of a whole context, half of which each will need
  std::vector<std::unique_ptr<Client>> waiting;
  int64_t spare = -1, asked = -1;
  const auto running = client_that([&](int delta) {
    if (delta == 0) {
      for (int i = 0; i < 12; ++i) {
        waiting.push_back(std::make_unique<Client>());
        engine_->submit(ask("llama", kText, 30), waiting.back()->sink());
      }
      while (resident("llama").waiting > 0) std::this_thread::yield();  // they are the worker's now
    } else if (delta == 1) {
      spare = resident("llama").spare_bytes();
      asked = engine_->stats().waiting;
    }
  });
  engine_->submit(ask("llama", kText, 30), running->sink());
  running->wait();
  EXPECT_EQ(asked, 12);
  EXPECT_EQ(spare, all / 2) << "only what runs was promised pages";
  for (const auto& client : waiting) client->wait();
  for (const auto& client : waiting) EXPECT_EQ(testing::difference(*client, *running), "");
}

TEST_F(PagesGoTest, WhoWaitsWhenTheServerEndsDoesNotBegin) {
  start(with_large_pages());
  load("llama");
  Client waiting;
  const auto running = client_that([&](int delta) {
    if (delta != 0) return;
    engine_->submit(ask("llama", kText, 40), waiting.sink());
    while (resident("llama").waiting > 0) std::this_thread::yield();
    engine_->shutdown(0);
  });
  engine_->submit(ask("llama", kText, kContext - 100), running->sink());
  running->wait();
  waiting.wait();
  EXPECT_EQ(running->error->code(), Code::kCancelled);
  EXPECT_EQ(waiting.error->code(), Code::kCancelled);
  EXPECT_EQ(waiting.events, 1) << "it was not told that it started";
}

TEST_F(PagesGoTest, ARequestThatNeedsThemWhenTheServerEndsHearsSo) {
  start(with_large_pages());
  load("llama");
  engine_->shrink(kEverything, true);
  const int64_t leased = budget_->leased_bytes();
  engine_->cancel_loads();
  const Error refused = refusal(ask("llama", kText, 40));
  EXPECT_EQ(refused.code(), Code::kCancelled);
  EXPECT_EQ(refused.message(), "the server is stopping");
  EXPECT_EQ(budget_->leased_bytes(), leased);
  EXPECT_EQ(budget_->journal().counts().refusals, 0u);
}

// Tells that somebody asked for room.
struct Spy final : governor::Resider {
  std::vector<governor::Resident> residents() const override {
    was_asked = true;
    return {};
  }
  bool evict(const std::string&) override { return false; }
  mutable std::atomic<bool> was_asked = false;
};

TEST_F(PagesGoTest, ARequestThatWaitsForThemIsNotEndedInPlaceOfOneThatHoldsThem) {
  start(with_large_pages());
  load("llama");
  const int64_t page = engine_->shrink(kEverything, true) / (8 * kContext / kPageTokens);
  const governor::Lease others = *budget_->take(budget_->free_bytes() - kContext / kPageTokens * page, "another");
  Spy spy;
  governor::Evictor evictor(*budget_);
  evictor.add(spy);
  engine_->set_evictor(evictor);
  Client first, second;
  bool is_begun = false, is_ended = false;
  first.on_event = [&](const GenerateEvent& event) {
    if (!std::holds_alternative<Delta>(event)) return;
    if (!std::exchange(is_begun, true)) engine_->submit(ask("llama", kText + kText, 40), second.sink());
    if (spy.was_asked && !is_ended) is_ended = engine_->abort_largest(Error(Code::kNoMemory, "memory is short"));
  };
  engine_->submit(ask("llama", kText, kContext - 100), first.sink());
  first.wait();
  second.wait();
  EXPECT_TRUE(is_ended);
  ASSERT_TRUE(first.error) << "it held all there was";
  EXPECT_EQ(first.error->message(), "memory is short");
  EXPECT_FALSE(second.error) << second.error->message();
  engine_.reset();  // before the evictor
}

// What runs keeps what it was promised, whoever asks and however often.
TEST_F(PagesGoTest, RunningRequestsAreNotHarmed) {
  for (const char* name : {"llama", "gemma3"}) {
    start(with_large_pages());
    const std::unique_ptr<Client> alone = load(name);
    std::atomic<bool> is_over = false;
    std::thread taker([&] {
      while (!is_over) engine_->shrink(kEverything, true);
    });
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 12; ++i) {
      clients.push_back(std::make_unique<Client>());
      engine_->submit(ask(name, kText, 40), clients.back()->sink());
    }
    for (const auto& client : clients) client->wait();
    is_over = true;
    taker.join();
    for (const auto& client : clients) {
      ASSERT_FALSE(client->error) << client->error->message();
      EXPECT_EQ(testing::difference(*client, *alone), "");
    }
    wait_idle();
  }
}

}  // namespace
}  // namespace hearth
