// Engine: refusals name what exists and what is needed, idle models give way and busy ones do not, cancelling and
// shutting down at any time ends every request exactly once, and a broken file is an error, never a crash.
#include "runtime/engine.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <random>
#include <sstream>

#include "runtime/testing/tiny_runtime.h"

namespace hearth {
namespace {

using testing::ask;
using testing::Client;
using testing::TinyRuntime;

// An engine over the tiny models, "llama" and "gemma3", with the budget of its own runtime.
class EngineTest : public ::testing::Test {
 protected:
  EngineOptions options() {
    EngineOptions out{.device = {DeviceKind::kCpu}, .caps = cpu_caps(2), .threads = 2};
    for (const char* architecture : {"llama", "gemma3"}) out.models.push_back({.load = files_.options(architecture)});
    return out;
  }
  void start(EngineOptions options, int64_t budget_bytes = int64_t{64} << 20) {
    engine_.reset();
    memory_.reset();
    budget_ = std::make_unique<governor::Budget>("cpu", budget_bytes);
    memory_ = std::make_unique<governor::LeasedAllocator>(*budget_, options.device);
    engine_ = std::make_unique<Engine>(std::move(options), *memory_);
  }
  int64_t bytes_of(const char* architecture) {
    auto model = LoadedModel::load(files_.options(architecture), files_.executor, files_.memory);
    return model->held_bytes();
  }
  // Submits and waits; the client says what came.
  std::unique_ptr<Client> run(GenerateRequest request) {
    auto client = std::make_unique<Client>();
    engine_->submit(std::move(request), client->sink());
    client->wait();
    return client;
  }
  Error refusal(GenerateRequest request) {
    std::unique_ptr<Client> client = run(std::move(request));
    return client->error.value_or(Error(Code::kInternal, "it was not refused"));
  }
  // Requests leave the books just after their Done.
  void wait_idle() {
    for (;;) {
      EngineStats stats = engine_->stats();
      if (stats.running + stats.waiting == 0 && stats.pages_used == 0) return;
      std::this_thread::yield();
    }
  }
  void wait_loaded(const std::string& name) {
    while (!is_loaded(name) || !engine_->stats().pages_total) std::this_thread::yield();
  }
  bool is_loaded(const std::string& name) {
    for (const ModelSummary& model : engine_->models()) {
      if (model.name == name) return model.is_loaded;
    }
    return false;
  }

  TinyRuntime files_;
  std::unique_ptr<governor::Budget> budget_;
  std::unique_ptr<governor::LeasedAllocator> memory_;
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineTest, AnswersTextTokensAndChat) {
  start(options());
  std::unique_ptr<Client> text = run(ask("llama", "hello there"));
  ASSERT_FALSE(text->error) << text->error->message();
  EXPECT_EQ(text->usage->completion_tokens, 8);
  EXPECT_EQ(text->choices[0].logprobs.size(), 8u);
  EXPECT_EQ(text->choices[0].reason, FinishReason::kLength);

  GenerateRequest chat = ask("llama", "");
  Value message = Value::object();
  message.set("role", "user");
  message.set("content", "hello there");
  chat.prompt = ChatPrompt{.messages = Value::List{message}};
  std::unique_ptr<Client> chatted = run(chat);
  EXPECT_EQ(testing::difference(*chatted, *text), "") << "the template writes the message alone";
  EXPECT_GT(chatted->usage->cached_tokens, 0);
}

TEST_F(EngineTest, AnUnknownModelIsRefusedWithTheKnownNames) {
  start(options());
  Error error = refusal(ask("gpt-9", "x"));
  EXPECT_EQ(error.code(), Code::kNotFound);
  for (const char* part : {"gpt-9", "llama", "gemma3"}) EXPECT_NE(error.message().find(part), std::string::npos);
  EXPECT_EQ(engine_->preload("gpt-9").error().code(), Code::kNotFound);
}

TEST_F(EngineTest, APromptBeyondTheContextIsRefusedWithBothNumbers) {
  start(options());
  GenerateRequest request = ask("llama", "");
  request.prompt = std::vector<int32_t>(256, 7);
  Error error = refusal(request);
  EXPECT_EQ(error.code(), Code::kContextLength);
  EXPECT_NE(error.message().find("256 tokens"), std::string::npos) << error.message();
  EXPECT_NE(error.message().find("context of 256"), std::string::npos) << error.message();
  request.prompt = std::vector<int32_t>(255, 7);
  EXPECT_EQ(run(request)->usage->completion_tokens, 1) << "one token has room";
  request.prompt = std::vector<int32_t>{3, testing::kTinyVocab};
  EXPECT_EQ(refusal(request).code(), Code::kInvalidArgument);
}

TEST_F(EngineTest, AFullQueueIsBusy) {
  EngineOptions few = options();
  few.models[0].load.parallel = 1;
  few.max_queue = 1;
  start(std::move(few));
  Client first, second, third;
  // Asked while the first one runs: one may wait, no more.
  first.on_event = [&](const GenerateEvent& event) {
    if (!std::holds_alternative<Started>(event)) return;
    engine_->submit(ask("llama", "b"), second.sink());
    engine_->submit(ask("llama", "c"), third.sink());
  };
  engine_->submit(ask("llama", "a"), first.sink());
  first.wait();
  second.wait();
  ASSERT_FALSE(first.error || second.error);
  ASSERT_TRUE(third.error);
  EXPECT_EQ(third.error->code(), Code::kBusy);
}

TEST_F(EngineTest, AnIdleModelGivesWayToAnother) {
  const int64_t llama = bytes_of("llama"), gemma = bytes_of("gemma3");
  start(options(), std::max(llama, gemma) + std::min(llama, gemma) / 2);
  for (const char* name : {"llama", "gemma3", "llama"}) {
    std::unique_ptr<Client> client = run(ask(name, "some text"));
    ASSERT_FALSE(client->error) << client->error->message();
    EXPECT_TRUE(is_loaded(name));
    wait_idle();
  }
  EXPECT_FALSE(is_loaded("gemma3"));
  EXPECT_EQ(budget_->leased_bytes(), llama);
}

TEST_F(EngineTest, ABusyModelStaysAndTheOtherIsRefusedWithNumbers) {
  const int64_t llama = bytes_of("llama"), gemma = bytes_of("gemma3");
  start(options(), std::max(llama, gemma) + std::min(llama, gemma) / 2);
  // The running request is held in its sink until the other has been answered.
  Client running, other;
  running.on_event = [&](const GenerateEvent& event) {
    if (!std::holds_alternative<Started>(event)) return;
    engine_->submit(ask("gemma3", "x"), other.sink());
    other.wait();
  };
  engine_->submit(ask("llama", "hello"), running.sink());
  running.wait();
  ASSERT_TRUE(other.error);
  EXPECT_EQ(other.error->code(), Code::kNoMemory);
  EXPECT_NE(other.error->message().find("gemma3 needs"), std::string::npos) << other.error->message();
  EXPECT_NE(other.error->message().find("held by"), std::string::npos) << other.error->message();
  EXPECT_NE(other.error->message().find("llama"), std::string::npos) << other.error->message();
  ASSERT_FALSE(running.error);
  EXPECT_EQ(running.usage->completion_tokens, 8);
}

TEST_F(EngineTest, WhileMemoryIsShortNothingBegins) {
  EngineOptions careful = options();
  std::atomic<bool> is_short{true};
  careful.admit = [&]() -> Result<void> {
    if (is_short) return unexpected(Code::kNoMemory, "memory is short");
    return {};
  };
  start(std::move(careful));
  EXPECT_EQ(refusal(ask("llama", "hello")).message(), "memory is short");
  EXPECT_FALSE(is_loaded("llama"));
  EXPECT_EQ(budget_->journal().counts().refusals, 1u);
  is_short = false;
  EXPECT_FALSE(run(ask("llama", "hello"))->error);
}

TEST_F(EngineTest, TheLargestRequestIsEndedWithTheReasonAndItsModelCanLeave) {
  start(options());
  EXPECT_FALSE(engine_->abort_largest(Error(Code::kNoMemory, "memory is short")));
  Client client;
  bool was_found = false;
  client.on_event = [&](const GenerateEvent& event) {
    if (!std::holds_alternative<Started>(event)) return;
    EXPECT_GT(engine_->largest_request_bytes(), 0);
    was_found = engine_->abort_largest(Error(Code::kNoMemory, "memory is short"));
  };
  engine_->submit(ask("llama", "hello", 100), client.sink());
  client.wait();
  EXPECT_TRUE(was_found);
  ASSERT_TRUE(client.error);
  EXPECT_EQ(client.error->code(), Code::kNoMemory);
  EXPECT_EQ(client.error->message(), "memory is short");
  wait_idle();
  EXPECT_EQ(engine_->largest_request_bytes(), 0);
  EXPECT_TRUE(engine_->unload("llama"));
  EXPECT_FALSE(run(ask("llama", "hello"))->error) << "the next one is answered";
}

TEST_F(EngineTest, ARequestThatWaitsHoldsNoShareOfTheState) {
  EngineOptions one_at_a_time = options();
  one_at_a_time.models[0].load.parallel = 1;
  start(std::move(one_at_a_time));
  Client first, second, third;
  int64_t held = 0, state = 0;
  first.on_event = [&](const GenerateEvent& event) {
    if (std::holds_alternative<Started>(event)) {
      engine_->submit(ask("llama", "b"), second.sink());
      engine_->submit(ask("llama", "c"), third.sink());
    } else if (held == 0 && !std::holds_alternative<Done>(event)) {
      held = engine_->largest_request_bytes();
      for (const governor::Holding& one : budget_->holdings()) state += one.holder == "state llama" ? one.bytes : 0;
    }
  };
  engine_->submit(ask("llama", "a"), first.sink());
  for (Client* client : {&first, &second, &third}) client->wait();
  EXPECT_GT(state, 0);
  EXPECT_EQ(held, state);
}

TEST_F(EngineTest, ARequestSaysHowLongItsModelStays) {
  start(options());
  GenerateRequest brief = ask("llama", "hello");
  brief.keep_alive_s = 0;
  ASSERT_FALSE(run(brief)->error);
  while (is_loaded("llama")) std::this_thread::yield();
  GenerateRequest pinned = ask("llama", "hello");
  pinned.keep_alive_s = -1;
  ASSERT_FALSE(run(pinned)->error);
  wait_idle();
  ASSERT_EQ(engine_->residents().size(), 1u);
  EXPECT_TRUE(engine_->residents()[0].is_pinned);
  ASSERT_FALSE(run(ask("llama", "hello"))->error);
  EXPECT_FALSE(engine_->residents()[0].is_pinned) << "the last request counts";
}

TEST_F(EngineTest, AHopelessModelUnloadsNobody) {
  EngineOptions big = options();
  big.models[1].load.parallel = 8;
  big.models[1].load.state_tokens = 8 * 256;
  const int64_t llama = bytes_of("llama");
  start(std::move(big), llama + 1024);
  ASSERT_FALSE(run(ask("llama", "hello"))->error);
  wait_idle();
  EXPECT_EQ(refusal(ask("gemma3", "x")).code(), Code::kNoMemory);
  EXPECT_TRUE(is_loaded("llama"));
}

TEST_F(EngineTest, KeepAliveUnloadsAnIdleModelOnly) {
  EngineOptions soon = options();
  soon.models[0].keep_alive_s = 0;
  soon.models[1].keep_alive_s = -1;
  start(std::move(soon));
  ASSERT_FALSE(run(ask("gemma3", "hello"))->error);
  ASSERT_FALSE(run(ask("llama", "hello"))->error);
  while (is_loaded("llama")) std::this_thread::yield();
  EXPECT_TRUE(is_loaded("gemma3"));
  ASSERT_FALSE(run(ask("llama", "hello"))->error) << "it comes back when asked";
}

TEST_F(EngineTest, UnloadLeavesABusyModelAlone) {
  start(options());
  EXPECT_FALSE(engine_->unload("llama")) << "not loaded";
  Client client;
  bool unloaded_while_busy = false;
  client.on_event = [&](const GenerateEvent& event) {
    if (std::holds_alternative<Started>(event)) unloaded_while_busy = engine_->unload("llama");
  };
  engine_->submit(ask("llama", "hello"), client.sink());
  client.wait();
  EXPECT_FALSE(unloaded_while_busy);
  wait_idle();
  while (!engine_->unload("llama")) std::this_thread::yield();
  EXPECT_EQ(budget_->leased_bytes(), 0);
}

TEST_F(EngineTest, AModelIsLoadedUntilItsMemoryIsBack) {
  start(options());
  Client client;
  std::promise<void> last_word;
  client.on_event = [&](const GenerateEvent& event) {
    if (std::holds_alternative<Done>(event)) last_word.get_future().wait();  // keeps the worker from leaving
  };
  engine_->submit(ask("llama", "hello"), client.sink());
  wait_loaded("llama");
  std::thread unloading([&] {
    while (!engine_->unload("llama")) std::this_thread::yield();
  });
  while (engine_->stats().pages_total) std::this_thread::yield();  // the worker is taken, the memory is not back
  EXPECT_TRUE(is_loaded("llama"));
  EXPECT_GT(budget_->leased_bytes(), 0);
  last_word.set_value();
  unloading.join();
  EXPECT_FALSE(is_loaded("llama"));
  EXPECT_EQ(budget_->leased_bytes(), 0);
}

TEST_F(EngineTest, ALoadWaitsForAModelThatIsLeaving) {
  start(options(), std::max(bytes_of("llama"), bytes_of("gemma3")) + (1 << 16));
  Client client;
  std::promise<void> last_word;
  client.on_event = [&](const GenerateEvent& event) {
    if (std::holds_alternative<Done>(event)) last_word.get_future().wait();
  };
  engine_->submit(ask("llama", "hello"), client.sink());
  wait_loaded("llama");
  std::thread unloading([&] {
    while (!engine_->unload("llama")) std::this_thread::yield();
  });
  while (engine_->stats().pages_total) std::this_thread::yield();  // the worker is taken, the memory is not back
  Client next;
  engine_->submit(ask("gemma3", "hello"), next.sink());
  std::this_thread::sleep_for(std::chrono::milliseconds(50));  // time to be refused in
  last_word.set_value();
  unloading.join();
  next.wait();
  EXPECT_FALSE(next.error) << next.error->what();
}

TEST_F(EngineTest, ARequestIsInTheBooksWhenItsClientHearsAToken) {
  start(options());
  for (int i = 0; i < 20; ++i) {
    Client client;
    int64_t least = 1 << 20;
    client.on_event = [&](const GenerateEvent& event) {
      if (std::holds_alternative<Delta>(event)) least = std::min(least, engine_->stats().running);
    };
    engine_->submit(ask("llama", "hello"), client.sink());
    client.wait();
    EXPECT_EQ(least, 1);
    wait_idle();
  }
}

TEST_F(EngineTest, ARefusedRequestIsOutOfTheBooksWhenItsClientHears) {
  start(options());
  GenerateRequest request = ask("llama", "");
  request.prompt = std::vector<int32_t>{1 << 30};
  for (int i = 0; i < 20; ++i) {
    Client client;
    int64_t waiting = -1;
    client.on_event = [&](const GenerateEvent&) { waiting = engine_->stats().waiting; };
    engine_->submit(request, client.sink());
    client.wait();
    ASSERT_TRUE(client.error);
    EXPECT_EQ(waiting, 0);
  }
}

TEST_F(EngineTest, CancelBeforeDuringAndAfter) {
  start(options());
  const std::string expected = run(ask("llama", "one more"))->choices[0].text;
  engine_->cancel("nobody");
  Client before, during, after;
  GenerateRequest request = ask("llama", "one more", 200);
  request.id = "before";
  engine_->submit(request, before.sink());
  engine_->cancel("before");
  request.id = "during";
  during.on_event = [&](const GenerateEvent& event) {
    if (during.deltas == 3) engine_->cancel("during");
  };
  engine_->submit(request, during.sink());
  GenerateRequest last = ask("llama", "one more");
  last.id = "after";
  engine_->submit(last, after.sink());
  after.wait();
  engine_->cancel("after");
  EXPECT_EQ(after.choices[0].text, expected);
  wait_idle();
  EXPECT_FALSE(before.is_over());
  EXPECT_FALSE(during.is_over());
  EXPECT_EQ(during.deltas, 3) << "nothing comes after the token at which it was cancelled";
  EXPECT_EQ(engine_->stats().cancelled, 2u);
  EXPECT_EQ(engine_->stats().pages_used, 0) << "pages of cancelled requests are free";
}

// Whatever a sink holds may end with it and call the engine: a sink is never destroyed under a lock.
TEST_F(EngineTest, ASinkMayCallTheEngineWhenItIsDestroyed) {
  start(options());
  struct Guard {
    Engine& engine;
    ~Guard() {
      engine.cancel("someone");
      engine.stats();
    }
  };
  Client first;
  first.on_event = [&](const GenerateEvent& event) {
    if (!std::holds_alternative<Started>(event)) return;
    for (int i = 0; i < 20; ++i) {
      GenerateRequest request = ask("llama", "text");
      request.id = "guarded";
      engine_->submit(request, [guard = std::make_shared<Guard>(Guard{*engine_})](GenerateEvent) {});
      engine_->cancel("guarded");
    }
  };
  engine_->submit(ask("llama", "hello"), first.sink());
  first.wait();
  wait_idle();
}

TEST_F(EngineTest, ShutdownLetsRunningRequestsEndWithinItsGrace) {
  start(options());
  Client client;
  client.on_event = [&](const GenerateEvent&) {};
  engine_->submit(ask("llama", "hello", 100), client.sink());
  client.wait_until([](const Client& c) { return c.deltas > 0; });
  engine_->shutdown(30);
  ASSERT_TRUE(client.is_over());
  ASSERT_FALSE(client.error) << client.error->message();
  EXPECT_EQ(client.usage->completion_tokens, 100);
  EXPECT_EQ(refusal(ask("llama", "late")).code(), Code::kBusy);
}

TEST_F(EngineTest, LoadedModelsAnswerWhenLoadsAreCancelled) {
  start(options());
  engine_->preload("llama").value();
  const int64_t leased = budget_->leased_bytes();
  engine_->cancel_loads();
  EXPECT_FALSE(run(ask("llama", "hello"))->error);
  const Error error = refusal(ask("gemma3", "hello"));
  EXPECT_EQ(error.code(), Code::kCancelled);
  EXPECT_EQ(error.message(), "the server is stopping");
  EXPECT_EQ(engine_->preload("gemma3").error().code(), Code::kCancelled);
  EXPECT_EQ(budget_->leased_bytes(), leased);
}

TEST_F(EngineTest, ShutdownWithoutGraceEndsEveryRequestOnce) {
  for (unsigned seed = 0; seed < 30; ++seed) {
    start(options());
    std::mt19937 random(seed);
    std::vector<std::unique_ptr<Client>> clients;
    for (int i = 0; i < 12; ++i) {
      clients.push_back(std::make_unique<Client>());
      engine_->submit(ask(random() % 3 ? "llama" : "gemma3", "text " + std::to_string(i), 200), clients.back()->sink());
    }
    if (random() % 2) clients[random() % 12]->wait_until([](const Client& c) { return c.events > 0; });
    engine_->shutdown(0);
    for (auto& client : clients) client->wait();
    for (auto& client : clients) {
      EXPECT_NE(client->usage.has_value(), client->error.has_value());
      EXPECT_TRUE(!client->error || client->error->code() == Code::kCancelled);
    }
    engine_.reset();
    EXPECT_EQ(budget_->leased_bytes(), 0);
  }
}

TEST_F(EngineTest, SeveralChoicesShareTheirPrompt) {
  start(options());
  GenerateRequest request = ask("llama", "a prompt that fills a few pages of eight tokens each");
  request.sampling.temperature = 1.0f;
  request.sampling.seed = 5;
  request.choices = 4;
  std::unique_ptr<Client> all = run(request);
  ASSERT_FALSE(all->error);
  ASSERT_EQ(all->choices.size(), 4u);
  EXPECT_EQ(all->usage->completion_tokens, 32);
  for (int i = 0; i < 4; ++i) {  // choice i is what the seed plus i gives
    GenerateRequest one = request;
    one.choices = 1;
    one.sampling.seed = 5 + i;
    EXPECT_EQ(run(one)->choices[0].text, all->choices[i].text);
  }
}

TEST_F(EngineTest, NothingAfterAStopStringIsSentNotEvenHalfACharacter) {
  start(options());
  GenerateRequest request = ask("llama", "hello");
  request.sampling.logit_bias = {{testing::kTinyHalfCharacter, 1e6f}};
  EXPECT_EQ(run(request)->choices[0].text.substr(0, 4), "X\xEF\xBF\xBD") << "without a stop string it shows";
  request.stop = {"X"};
  std::unique_ptr<Client> stopped = run(request);
  EXPECT_EQ(stopped->choices[0].text, "");
  EXPECT_EQ(stopped->choices[0].reason, FinishReason::kStop);
}

TEST_F(EngineTest, ATemplateThatLoopsIsRefused) {
  EngineOptions loops = options();
  loops.models[0].load.chat_template =
      "{% for a in range(100000) %}{% for b in range(100000) %}{% for c in range(100000) %}x{% endfor %}{% endfor %}"
      "{% endfor %}";
  start(std::move(loops));
  GenerateRequest request = ask("llama", "");
  request.prompt = ChatPrompt{.messages = Value::list()};
  Error error = refusal(request);
  EXPECT_TRUE(error.code() == Code::kTimeout || error.code() == Code::kUnsupported) << error.message();
  EXPECT_FALSE(run(ask("llama", "text goes on"))->error);
}

class BrokenFileTest : public EngineTest {
 protected:
  void SetUp() override {
    std::ifstream in(files_.path("gemma3"), std::ios::binary);
    std::stringstream bytes;
    bytes << in.rdbuf();
    whole_ = bytes.str();
  }
  // Loads the bytes as a model and asks it; true when it answered, false when it was refused with a reason.
  bool answers(const std::string& bytes) {
    const std::string path = folder_.path("broken.gguf");
    std::ofstream(path, std::ios::binary).write(bytes.data(), std::ssize(bytes));
    EngineOptions broken = options();
    broken.models.erase(broken.models.begin());
    broken.models[0].load.path = path;
    start(std::move(broken));
    std::unique_ptr<Client> client = run(ask("gemma3", "does it still work?", 4));
    if (client->error) {
      EXPECT_FALSE(client->error->message().empty());
      EXPECT_NE(client->error->code(), Code::kCancelled);
    }
    return !client->error;
  }
  std::string whole_;
  testing::TempFolder folder_;
};

TEST_F(BrokenFileTest, TruncatedAndEmptyFilesAreRefused) {
  EXPECT_TRUE(answers(whole_));
  EXPECT_FALSE(answers(""));
  EXPECT_FALSE(answers(std::string(whole_.size(), '\0')));
  for (size_t part = 1; part < 10; ++part) EXPECT_FALSE(answers(whole_.substr(0, whole_.size() * part / 10)));
  EXPECT_FALSE(answers(whole_.substr(0, whole_.size() - 1)));
  std::filesystem::remove(folder_.path("broken.gguf"));
}

TEST_F(BrokenFileTest, FlippedBitsAreRefusedOrAnswered) {
  std::mt19937_64 random(3);
  int answered = 0;
  const size_t header = whole_.find("blk.2.ffn_down.weight") + 60;
  ASSERT_LT(header, whole_.size());
  for (int i = 0; i < 200; ++i) {
    std::string bytes = whole_;
    const size_t at = random() % (i % 2 ? bytes.size() : header);
    bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
    answered += answers(bytes);
    ASSERT_FALSE(HasFailure()) << "bit flipped at " << at;
  }
  EXPECT_GT(answered, 20);
  EXPECT_LT(answered, 199);
}

}  // namespace
}  // namespace hearth
