#include "runtime/generate/sampler.h"

#include <algorithm>
#include <cmath>

#include "core/base/check.h"

namespace hearth {
namespace {

// 53 random bits: the same on every platform, unlike std::uniform_real_distribution.
double uniform(std::mt19937_64& random) { return static_cast<double>(random() >> 11) * 0x1.0p-53; }

bool better(float a_logit, int32_t a_token, float b_logit, int32_t b_token) {
  return a_logit != b_logit ? a_logit > b_logit : a_token < b_token;
}

}  // namespace

Sampler::Sampler(SamplingParams params) : params_(std::move(params)), random_(params_.seed) {}

void Sampler::see_prompt(std::span<const int32_t> tokens) {
  if (params_.repetition_penalty == 1) return;
  for (int32_t token : tokens) seen_[token].in_prompt = true;
}

int32_t Sampler::sample(std::span<const float> logits) {
  check(!logits.empty(), "sampling needs logits");
  std::span<const float> scores = adjusted(logits);
  int32_t token = 0;
  if (params_.is_greedy()) {
    token = argmax(scores);
  } else {
    collect(scores);
    keep_typical();
    keep_top_p();
    keep_min_p();
    token = draw();
  }
  ++seen_[token].in_output;
  return token;
}

std::span<const float> Sampler::adjusted(std::span<const float> logits) {
  const bool has_penalties =
      params_.repetition_penalty != 1 || params_.presence_penalty != 0 || params_.frequency_penalty != 0;
  if (params_.logit_bias.empty() && !has_penalties) return logits;
  adjusted_.assign(logits.begin(), logits.end());
  for (auto [token, bias] : params_.logit_bias) {
    if (token >= 0 && token < static_cast<int32_t>(adjusted_.size())) adjusted_[token] += bias;
  }
  for (const auto& [token, seen] : seen_) {
    if (!has_penalties || token >= static_cast<int32_t>(adjusted_.size())) continue;
    float& logit = adjusted_[token];
    logit = logit > 0 ? logit / params_.repetition_penalty : logit * params_.repetition_penalty;
    if (seen.in_output > 0) {
      logit -= params_.presence_penalty + params_.frequency_penalty * static_cast<float>(seen.in_output);
    }
  }
  return adjusted_;
}

// The top_k best (all without top_k), best first where an order is needed, with probabilities at temperature 1.
void Sampler::collect(std::span<const float> logits) {
  candidates_.clear();
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] > -INFINITY) candidates_.push_back({static_cast<int32_t>(i), logits[i], 0});
  }
  if (candidates_.empty()) candidates_.push_back({argmax(logits), 0, 1});
  auto by_logit = [](const Candidate& a, const Candidate& b) { return better(a.logit, a.token, b.logit, b.token); };
  const auto k = static_cast<size_t>(params_.top_k);
  if (k > 0 && k < candidates_.size()) {
    std::nth_element(candidates_.begin(), candidates_.begin() + params_.top_k, candidates_.end(), by_logit);
    candidates_.resize(k);
  }
  const bool needs_order = params_.typical_p < 1 || params_.top_p < 1;
  if (needs_order || k > 0) std::sort(candidates_.begin(), candidates_.end(), by_logit);
  normalise();
}

void Sampler::normalise() {
  float most = -INFINITY;
  for (const Candidate& c : candidates_) most = std::max(most, c.logit);
  double sum = 0;
  for (Candidate& c : candidates_) sum += c.p = std::exp(static_cast<double>(c.logit) - most);
  for (Candidate& c : candidates_) c.p /= sum;
}

// Locally typical sampling (Meister et al. 2022): tokens whose surprise is closest to the entropy, up to mass p.
void Sampler::keep_typical() {
  if (params_.typical_p >= 1) return;
  double entropy = 0;
  for (const Candidate& c : candidates_) {
    if (c.p > 0) entropy -= c.p * std::log(c.p);
  }
  auto distance = [&](const Candidate& c) { return c.p > 0 ? std::abs(-std::log(c.p) - entropy) : INFINITY; };
  std::stable_sort(candidates_.begin(), candidates_.end(),
                   [&](const Candidate& a, const Candidate& b) { return distance(a) < distance(b); });
  double mass = 0;
  size_t kept = 0;
  while (kept < candidates_.size() && (kept == 0 || mass < params_.typical_p)) mass += candidates_[kept++].p;
  candidates_.resize(kept);
  std::sort(candidates_.begin(), candidates_.end(),
            [](const Candidate& a, const Candidate& b) { return better(a.logit, a.token, b.logit, b.token); });
  normalise();
}

void Sampler::keep_top_p() {
  if (params_.top_p >= 1) return;
  double mass = 0;
  size_t kept = 0;
  while (kept < candidates_.size() && (kept == 0 || mass < params_.top_p)) mass += candidates_[kept++].p;
  candidates_.resize(kept);
}

void Sampler::keep_min_p() {
  if (params_.min_p <= 0) return;
  double best = 0;
  for (const Candidate& c : candidates_) best = std::max(best, c.p);
  std::erase_if(candidates_, [&](const Candidate& c) { return c.p < params_.min_p * best; });
}

int32_t Sampler::draw() {
  float most = -INFINITY;
  for (const Candidate& c : candidates_) most = std::max(most, c.logit);
  double sum = 0;
  for (Candidate& c : candidates_) {
    sum += c.p = std::exp((static_cast<double>(c.logit) - most) / params_.temperature);
  }
  double target = uniform(random_) * sum;
  for (const Candidate& c : candidates_) {
    target -= c.p;
    if (target < 0) return c.token;
  }
  return candidates_.back().token;
}

int32_t argmax(std::span<const float> values) {
  int32_t best = 0;
  float most = -INFINITY;
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] > most) {
      most = values[i];
      best = static_cast<int32_t>(i);
    }
  }
  return best;
}

TokenLogprob token_logprob(std::span<const float> logits, int32_t token, int n) {
  float most = -INFINITY;
  for (float logit : logits) most = std::max(most, logit);
  double sum = 0;
  for (float logit : logits) sum += std::exp(static_cast<double>(logit) - most);
  const double log_sum = most + std::log(sum);
  auto logprob = [&](int32_t t) { return static_cast<float>(logits[t] - log_sum); };

  TokenLogprob out{.token = token, .text = {}, .logprob = logprob(token), .top = {}, .top_text = {}};
  std::vector<int32_t> order(logits.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
  n = std::min<int>(n, static_cast<int>(order.size()));
  std::partial_sort(order.begin(), order.begin() + n, order.end(),
                    [&](int32_t a, int32_t b) { return better(logits[a], a, logits[b], b); });
  for (int i = 0; i < n; ++i) out.top.emplace_back(order[i], logprob(order[i]));
  return out;
}

}  // namespace hearth
