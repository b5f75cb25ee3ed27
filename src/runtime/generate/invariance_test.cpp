// What a request hears does not depend on who else is there: alone, among others, in too few pages, with a prefix in
// the cache, however its prompt is cut into steps, and whatever the others cancel. To the bit, log-probabilities too.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iterator>
#include <random>
#include <set>

#include "runtime/generate/model_worker.h"
#include "runtime/testing/tiny_runtime.h"

namespace hearth {
namespace {

using testing::Client;
using testing::TinyRuntime;

constexpr int64_t kContext = 128;
constexpr int kRequests = 40;

// Sanitized builds are ten times slower and look for something else.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr int kRounds = 60;
#else
constexpr int kRounds = 500;
#endif

struct Asked {
  std::vector<int32_t> tokens;
  SamplingParams sampling;
  GenerateRequest request;
};

// Prompts that share beginnings of several pages; half greedy, half seeded sampling.
std::vector<Asked> make_requests(uint64_t seed) {
  std::mt19937_64 random(seed);
  auto upto = [&](int n) { return static_cast<int>(random() % static_cast<uint64_t>(n)); };
  std::vector<std::vector<int32_t>> beginnings(4);
  for (auto& beginning : beginnings) {
    for (int i = 0; i < 64; ++i) beginning.push_back(3 + upto(testing::kTinyVocab - 3));
  }
  std::vector<Asked> out(kRequests);
  for (int i = 0; i < kRequests; ++i) {
    Asked& asked = out[i];
    const auto& beginning = beginnings[upto(4)];
    asked.tokens.assign(beginning.begin(), beginning.begin() + upto(65));
    for (int n = 1 + upto(24); n > 0; --n) asked.tokens.push_back(3 + upto(testing::kTinyVocab - 3));
    asked.request.max_tokens = 1 + upto(24);
    asked.request.logprobs = true;
    asked.request.top_logprobs = upto(4);
    asked.request.choices = upto(4) == 0 ? 3 : 1;
    asked.request.ignore_end = upto(2) == 0;
    if (upto(5) == 0) asked.request.stop = {"e", "th"};
    asked.sampling.seed = random();
    asked.sampling.temperature = i % 2 == 0 ? 0 : 0.9f;
    if (upto(3) == 0) asked.sampling.top_k = 20;
    if (upto(3) == 0) asked.sampling.top_p = 0.8f;
    if (upto(3) == 0) asked.sampling.repetition_penalty = 1.3f;
  }
  return out;
}

PreparedRequest prepare(const Asked& asked, const std::string& id, Client& client) {
  PreparedRequest out{
      .request = asked.request, .sampling = asked.sampling, .tokens = asked.tokens, .sink = client.sink()};
  out.request.id = id;
  out.submitted_s = steady_s();
  return out;
}

// One way of serving: an instance of the model with its own limits, and a worker that lives for some rounds.
struct Serving {
  std::unique_ptr<LoadedModel> model;
  std::unique_ptr<ModelWorker> worker;
};

class Invariance : public ::testing::TestWithParam<const char*> {
 protected:
  Serving make(TinyRuntime& runtime, int64_t max_rows, int64_t parallel, int64_t state_tokens) {
    LoadOptions options = runtime.options(GetParam(), max_rows);
    options.context = kContext;
    options.parallel = parallel;
    options.state_tokens = state_tokens;
    return {LoadedModel::load(options, runtime.executor, runtime.memory), nullptr};
  }
  // Each request by itself, with nothing in the cache.
  std::vector<std::unique_ptr<Client>> alone(const std::vector<Asked>& requests) {
    Serving serving = make(runtime_, kContext, 4, 4 * kContext);
    std::vector<std::unique_ptr<Client>> out;
    for (const Asked& asked : requests) {
      ModelWorker worker(*serving.model, stats_);
      out.push_back(std::make_unique<Client>());
      worker.submit(prepare(asked, "alone", *out.back()));
      out.back()->wait();
    }
    return out;
  }

  void run_rounds(TinyRuntime& runtime, int rounds);

  TinyRuntime runtime_{1};
  StatsBook stats_;
};

// Submits nine random requests, cancels some at random tokens of others, and compares the rest. Clients go to `kept`: a
// request that ended just before its cancellation is still told so after the worker is idle.
void run_round(ModelWorker& worker, const std::vector<Asked>& requests,
               const std::vector<std::unique_ptr<Client>>& expected, std::mt19937_64& random, int round,
               std::vector<std::unique_ptr<Client>>& kept) {
  // A name is never used twice: a late cancellation of the last round's request must not meet this round's.
  auto name = [round](int i) { return std::to_string(round) + "." + std::to_string(i); };
  constexpr int kTogether = 9;
  std::vector<std::unique_ptr<Client>> clients;
  std::vector<int> which;
  std::set<int> cancelled;
  for (int i = 0; i < kTogether; ++i) {
    clients.push_back(std::make_unique<Client>());
    which.push_back(static_cast<int>(random() % kRequests));
  }
  for (int n = static_cast<int>(random() % 4); n > 0; --n) {
    int victim = static_cast<int>(random() % kTogether), witness = static_cast<int>(random() % kTogether);
    if (victim == witness || cancelled.count(witness) || clients[witness]->on_event) continue;
    cancelled.insert(victim);
    clients[witness]->on_event = [&worker, id = name(victim), after = random() % 20](const GenerateEvent&) mutable {
      if (after-- == 0) worker.cancel(id);
    };
  }
  for (int i = 0; i < kTogether; ++i) worker.submit(prepare(requests[which[i]], name(i), *clients[i]));
  for (int i = 0; i < kTogether; ++i) {
    if (!cancelled.count(i)) clients[i]->wait();
  }
  for (int victim : cancelled) worker.cancel(name(victim));
  while (!worker.is_idle()) std::this_thread::yield();
  for (int i = 0; i < kTogether; ++i) {
    if (cancelled.count(i)) continue;
    EXPECT_EQ(testing::difference(*clients[i], *expected[which[i]]), "") << "request " << which[i];
  }
  std::move(clients.begin(), clients.end(), std::back_inserter(kept));
}

void Invariance::run_rounds(TinyRuntime& runtime, int rounds) {
  const std::vector<Asked> requests = make_requests(7);
  const auto expected = alone(requests);
  std::mt19937_64 random(11);
  std::vector<std::unique_ptr<Client>> kept;  // outlives the workers
  std::vector<Serving> servings;
  for (int64_t max_rows : {1, 5, 16, 33, 128}) {
    servings.push_back(make(runtime, max_rows, 1 + static_cast<int64_t>(random() % 9), kContext));
    servings.push_back(make(runtime, max_rows, 9, kContext * static_cast<int64_t>(1 + random() % 8)));
  }
  for (int round = 0; round < rounds; ++round) {
    Serving& serving = servings[random() % servings.size()];
    if (!serving.worker || random() % 4 == 0) {  // otherwise the cache holds what earlier rounds left
      serving.worker = std::make_unique<ModelWorker>(*serving.model, stats_);
    }
    run_round(*serving.worker, requests, expected, random, round, kept);
    ASSERT_FALSE(HasFailure()) << "round " << round << ", rows " << serving.model->scheduler_limits().max_rows;
    ModelWorker::Pages pages = serving.worker->pages();
    ASSERT_EQ(pages.running + pages.waiting, 0);
    ASSERT_FALSE(serving.worker->is_broken());
  }
  EXPECT_EQ(stats_.failed, 0u);
}

TEST_P(Invariance, SameOutputAloneAndInAnyCompany) {
  run_rounds(runtime_, kRounds);
  EXPECT_GT(stats_.preempted, static_cast<uint64_t>(kRounds) / 4) << "pages ran out often";
  EXPECT_GT(stats_.cached_tokens, static_cast<uint64_t>(kRounds) * 20) << "prefixes were found";
  EXPECT_GT(stats_.cancelled, static_cast<uint64_t>(kRounds) / 5);
}

TEST_P(Invariance, SameOutputWhateverTheNumberOfThreads) {
  TinyRuntime two(2);
  run_rounds(two, kRounds / 50);
}

// A test of the test: the tiny model says different things to different prompts.
TEST_P(Invariance, TheTinyModelIsLively) {
  std::set<int32_t> seen;
  size_t tokens = 0;
  for (const auto& client : alone(make_requests(7))) {
    for (const TokenLogprob& logprob : client->choices[0].logprobs) {
      seen.insert(logprob.token);
      ++tokens;
    }
  }
  EXPECT_GT(tokens, 200u);
  EXPECT_GT(seen.size(), 60u);
}

INSTANTIATE_TEST_SUITE_P(Models, Invariance, ::testing::Values("llama", "gemma3"));

}  // namespace
}  // namespace hearth
