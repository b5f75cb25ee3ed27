#include "ops/random/brownian.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <functional>

#include "core/base/check.h"
#include "ops/random/seed_sequence.h"

namespace hearth {
namespace {

constexpr int kDigits = 6;     // of the tolerance
constexpr int kPoolSize = 24;  // words of seed entropy

/// To kDigits decimals, correctly rounded from the exact value, halves to even.
double rounded(double x) {
  std::array<char, 64> text;
  auto written = std::to_chars(text.data(), text.data() + text.size(), x, std::chars_format::fixed, kDigits);
  check(written.ec == std::errc(), "a Brownian tree's times fit in 64 characters");
  double value = 0;
  std::from_chars(text.data(), written.ptr, value);
  return value;
}

}  // namespace

BrownianTree::BrownianTree(double start, double end, int64_t elements, uint64_t seed, const NoiseMachine& machine)
    : root_{rounded(start), rounded(end), 0, 0}, seed_(seed), machine_(machine),
      root_value_(static_cast<size_t>(elements)) {
  normals(seed_sequence(seed, {}, kPoolSize, 1)[0], root_value_);
  float scale = static_cast<float>(std::sqrt(end - start));
  for (float& value : root_value_) value *= scale;
}

std::vector<float> BrownianTree::increment(double a, double b) const {
  a = rounded(std::clamp(a, root_.start, root_.end));
  b = rounded(std::clamp(b, root_.start, root_.end));
  check(a <= b, "a Brownian increment goes forward in time");
  Values sum;
  if (a < b) add(root_, root_value_, a, b, sum);
  if (sum.empty()) sum.assign(root_value_.size(), 0.0f);
  return sum;
}

/// Adds what [a, b] covers of `node`, left to right.
void BrownianTree::add(const Node& node, const Values& value, double a, double b, Values& sum) const {
  if (a == node.start && b == node.end) {
    if (sum.empty())
      sum = value;
    else
      std::transform(sum.begin(), sum.end(), value.begin(), sum.begin(), std::plus<>());
    return;
  }
  double midway = rounded(0.5 * (node.end + node.start));
  if (a < midway) {
    Node left{node.start, midway, 2 * node.key, node.depth + 1};
    add(left, child_value(node, value, midway, true), a, std::min(b, midway), sum);
  }
  if (b > midway) {
    Node right{midway, node.end, 2 * node.key + 1, node.depth + 1};
    add(right, child_value(node, value, midway, false), std::max(a, midway), b, sum);
  }
}

BrownianTree::Values BrownianTree::child_value(const Node& parent, const Values& value, double midway,
                                               bool is_left) const {
  double per_length = 1 / (parent.end - parent.start);
  double left = midway - parent.start, right = parent.end - midway;
  float left_part = static_cast<float>(left), length = static_cast<float>(per_length);
  float deviation = static_cast<float>(std::sqrt(left * right * per_length));
  std::array<uint64_t, 2> key = {parent.key, static_cast<uint64_t>(parent.depth)};
  Values child(value.size());
  normals(seed_sequence(seed_, key, kPoolSize, 1)[0], child);
  for (size_t i = 0; i < child.size(); ++i) {
    float left_value = left_part * value[i] * length + deviation * child[i];
    child[i] = is_left ? left_value : value[i] - left_value;
  }
  return child;
}

void BrownianTree::normals(uint64_t seed, std::span<float> out) const { normal_stream(machine_, seed)->fill(out); }

BrownianNoise::BrownianNoise(float sigma_min, float sigma_max, int64_t elements, uint64_t seed,
                             const NoiseMachine& machine)
    : tree_(std::min(sigma_min, sigma_max), std::max(sigma_min, sigma_max), elements, seed, machine) {}

void BrownianNoise::between(float sigma, float sigma_next, std::span<float> out) const {
  std::vector<float> w = tree_.increment(std::min(sigma, sigma_next), std::max(sigma, sigma_next));
  float sign = sigma < sigma_next ? 1.0f : -1.0f;
  float scale = std::sqrt(std::fabs(sigma_next - sigma));
  check(out.size() == w.size(), "Brownian noise has the latent's size");
  for (size_t i = 0; i < w.size(); ++i) out[i] = w[i] * sign / scale;
}

}  // namespace hearth
