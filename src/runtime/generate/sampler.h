// Sampler: one token from one row of logits. Pure but for its random state: the same seed, logits and history give the
// same token on every machine. Order of the chain, as llama.cpp's: logit bias, penalties, top_k, typical_p, top_p,
// min_p, temperature. Temperature 0 takes the largest logit (the lowest id among equals) after bias and penalties.
#pragma once
#include <cstdint>
#include <random>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "runtime/request.h"

namespace hearth {

/// SamplingOptions with every default filled in.
struct SamplingParams {
  float temperature = 1, top_p = 1, min_p = 0, typical_p = 1;
  int top_k = 0;
  float repetition_penalty = 1, presence_penalty = 0, frequency_penalty = 0;
  uint64_t seed = 0;
  std::vector<std::pair<int32_t, float>> logit_bias;

  bool is_greedy() const { return temperature <= 0 || top_k == 1; }
};

class Sampler {
 public:
  explicit Sampler(SamplingParams params);

  /// Counts a prompt token for the repetition penalty.
  void see_prompt(std::span<const int32_t> tokens);
  /// Chooses a token and counts it. `logits` [vocab] is not changed.
  int32_t sample(std::span<const float> logits);

  const SamplingParams& params() const { return params_; }

 private:
  struct Candidate {
    int32_t token;
    float logit;
    double p;
  };
  struct Seen {
    int in_output = 0;
    bool in_prompt = false;
  };
  std::span<const float> adjusted(std::span<const float> logits);
  void collect(std::span<const float> logits);
  void normalise();
  void keep_typical();
  void keep_top_p();
  void keep_min_p();
  int32_t draw();

  SamplingParams params_;
  std::mt19937_64 random_;
  std::unordered_map<int32_t, Seen> seen_;
  std::vector<float> adjusted_;
  std::vector<Candidate> candidates_;
};

/// Index of the largest value, the lowest among equals. NaN counts as the smallest.
int32_t argmax(std::span<const float> values);

/// Log-probability of `token` and of the `n` best under softmax(logits), as the API reports them: of the model's own
/// logits, before bias, penalties and temperature.
TokenLogprob token_logprob(std::span<const float> logits, int32_t token, int n);

}  // namespace hearth
