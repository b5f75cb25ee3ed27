// Sampler: greedy ties, each filter alone, penalties, bias, repeatable seeds, and frequencies that match softmax.
#include "runtime/generate/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

namespace hearth {
namespace {

const std::vector<float> kLogits = {1.0f, 3.0f, 2.0f, 3.0f, -1.0f};

std::set<int32_t> reachable(SamplingParams params, const std::vector<float>& logits = kLogits) {
  std::set<int32_t> seen;
  for (uint64_t seed = 0; seed < 400; ++seed) {
    params.seed = seed;
    seen.insert(Sampler(params).sample(logits));
  }
  return seen;
}

TEST(Sampler, GreedyTakesTheLowestOfEqualBest) {
  EXPECT_EQ(Sampler({.temperature = 0}).sample(kLogits), 1);
  EXPECT_EQ(Sampler({.top_k = 1}).sample(kLogits), 1);
}

TEST(Sampler, FiltersKeepWhatTheyPromise) {
  EXPECT_EQ(reachable({.temperature = 5}), (std::set<int32_t>{0, 1, 2, 3, 4}));
  EXPECT_EQ(reachable({.temperature = 5, .top_k = 3}), (std::set<int32_t>{1, 2, 3}));
  EXPECT_EQ(reachable({.temperature = 5, .top_p = 0.5f}), (std::set<int32_t>{1, 3}));
  EXPECT_EQ(reachable({.temperature = 5, .min_p = 0.9f}), (std::set<int32_t>{1, 3}));
  // One certain token and many equal ones: the equal ones are the typical ones when they carry most of the entropy.
  EXPECT_EQ(reachable({.typical_p = 0.2f}, {2.0f, 2.0f, 2.0f, -9.0f}), (std::set<int32_t>{0}));
}

TEST(Sampler, BiasAndPenaltiesMoveTheChoice) {
  SamplingParams biased{.temperature = 0};
  biased.logit_bias = {{4, 100.0f}, {99, 5.0f}};
  EXPECT_EQ(Sampler(biased).sample(kLogits), 4);

  Sampler presence({.temperature = 0, .presence_penalty = 1.5f});
  EXPECT_EQ(presence.sample(kLogits), 1);
  EXPECT_EQ(presence.sample(kLogits), 3) << "the repeated token has lost 1.5";

  Sampler repetition({.temperature = 0, .repetition_penalty = 2.0f});
  const int32_t prompt[] = {1};
  repetition.see_prompt(prompt);
  EXPECT_EQ(repetition.sample(kLogits), 3);
}

TEST(Sampler, SameSeedSameTokensAndFrequenciesFollowSoftmax) {
  auto draw = [](uint64_t seed) {
    Sampler sampler({.temperature = 0.7f, .seed = seed});
    std::vector<int32_t> out;
    for (int i = 0; i < 50; ++i) out.push_back(sampler.sample(kLogits));
    return out;
  };
  EXPECT_EQ(draw(7), draw(7));
  EXPECT_NE(draw(7), draw(8));

  std::map<int32_t, int> counts;
  Sampler sampler({.temperature = 0.7f, .seed = 1});
  constexpr int kDraws = 20000;
  for (int i = 0; i < kDraws; ++i) ++counts[sampler.sample(kLogits)];
  double sum = 0;
  for (float logit : kLogits) sum += std::exp(logit / 0.7);
  for (int32_t t = 0; t < 5; ++t) {
    double p = std::exp(kLogits[t] / 0.7) / sum;
    EXPECT_NEAR(counts[t] / double{kDraws}, p, 5 * std::sqrt(p / kDraws)) << t;
  }
}

TEST(Sampler, ReportsLogprobsOfTheModelItself) {
  TokenLogprob got = token_logprob(kLogits, 2, 2);
  double sum = 0;
  for (float logit : kLogits) sum += std::exp(double{logit});
  EXPECT_NEAR(got.logprob, 2 - std::log(sum), 1e-6);
  ASSERT_EQ(got.top.size(), 2u);
  EXPECT_EQ(got.top[0].first, 1);
  EXPECT_EQ(got.top[1].first, 3);
}

}  // namespace
}  // namespace hearth
