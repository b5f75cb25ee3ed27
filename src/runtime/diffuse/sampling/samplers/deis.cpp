// DEIS, table Adams-Bashforth of order 3 (arXiv 2204.13902): slopes are extrapolated in the time of a VP process and
// integrated numerically.
#include <algorithm>
#include <deque>

#include "runtime/diffuse/sampling/samplers/families.h"

namespace hearth::diffuse {
namespace {

constexpr int64_t kMaxOrder = 3;
constexpr int64_t kQuadraturePoints = 10000;

/// A VP process whose levels at times 0.001 and 1 are 0.002 and 80.
struct VpProcess {
  float slope = 0, beta_min = 0, beta_max = 0;

  VpProcess() {
    constexpr double kEpsilon = 1e-3;
    float low = f32::log(f32::square(0.002f) + 1.0f), high = f32::log(f32::square(80.0f) + 1.0f);
    slope = 2.0f * (low / static_cast<float>(kEpsilon) - high) / static_cast<float>(kEpsilon - 1);
    beta_min = high - 0.5f * slope;
    beta_max = slope + beta_min;
  }
  float time(float sigma) const {
    float root = f32::sqrt(beta_min * beta_min + 2.0f * slope * f32::log(sigma * sigma + 1.0f));
    return (root - beta_min) / slope;
  }
  /// What d sigma / dt of the process gives a slope at time t.
  float integrand(float t) const {
    float beta = beta_max - beta_min;
    float alpha = f32::exp(-0.5f * (t * t) * beta - t * beta_min);
    float slope_of_log_alpha = -(t * beta + beta_min);
    return -0.5f * slope_of_log_alpha / f32::sqrt(alpha * (1.0f - alpha));
  }
};

/// Weights of the newest `order` slopes for the step from time t[i] to t[i+1], newest first.
std::vector<float> weights(const VpProcess& process, std::span<const float> t, int64_t i, int64_t order) {
  const auto at = [&](int64_t k) { return t[static_cast<size_t>(k)]; };
  std::vector<double> sums(static_cast<size_t>(order));
  for (int64_t point = 0; point < kQuadraturePoints; ++point) {
    float tau = f32::linspace(at(i), at(i + 1), kQuadraturePoints, point);
    float value = process.integrand(tau);
    for (int64_t j = 0; j < order; ++j) {
      float polynomial = 1;
      for (int64_t k = 0; k < order; ++k)
        if (k != j) polynomial *= (tau - at(i - k)) / (at(i - j) - at(i - k));
      sums[static_cast<size_t>(j)] += value * polynomial;
    }
  }
  float dtau = (at(i + 1) - at(i)) / static_cast<float>(kQuadraturePoints);
  std::vector<float> w;
  for (double sum : sums) w.push_back(static_cast<float>(sum) * dtau);
  return w;
}

}  // namespace

Field deis(Run& run, Field x) {
  const VpProcess process;
  std::vector<float> t;
  for (float sigma : run.sigmas) t.push_back(process.time(sigma));
  std::deque<Field> slopes;  // newest first
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1);
    Field denoised = run.denoise(x, from);
    run.tell(i, x, denoised);
    slopes.push_front((x - denoised) / from);
    if (static_cast<int64_t>(slopes.size()) > kMaxOrder) slopes.pop_back();
    const int64_t order = to <= 0 ? 1 : std::min(kMaxOrder, i + 1);
    if (order == 1) {
      x = x + (to - from) * slopes[0];
      continue;
    }
    std::vector<float> w = weights(process, t, i, order);
    for (int64_t j = 0; j < order; ++j) x = x + w[static_cast<size_t>(j)] * slopes[static_cast<size_t>(j)];
  }
  return x;
}

}  // namespace hearth::diffuse
