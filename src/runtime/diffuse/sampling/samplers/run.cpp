#include "runtime/diffuse/sampling/samplers/run.h"

#include <algorithm>
#include <cmath>

#include "core/base/check.h"

namespace hearth::diffuse {

Field Run::noise() {
  if (!normals_) {
    bool is_cpu = setup_.noise.kind == NoiseMachine::Kind::kCpu;  // there the seed itself made the first noise
    normals_ = normal_stream(setup_.noise, setup_.seed + (is_cpu ? 1 : 0));
  }
  Field out(setup_.shape.numel());
  normals_->fill(out.span());
  return out;
}

Field Run::brownian_noise(float sigma, float sigma_next) {
  if (!brownian_) {
    float low = *std::max_element(asked_.begin(), asked_.end()), high = low;
    for (float level : asked_)
      if (level > 0) low = std::min(low, level);
    NoiseMachine machine = setup_.noise;
    if (text("noise_device") == "cpu") machine.kind = NoiseMachine::Kind::kCpu;
    brownian_.emplace(low, high, setup_.shape.numel(), setup_.seed, machine);
  }
  Field out(setup_.shape.numel());
  brownian_->between(sigma, sigma_next, out.span());
  return out;
}

float half_log_snr(float sigma, const ModelSampling& sampling) {
  return -(sampling.is_flow() ? f32::log(sigma / (1.0f - sigma)) : f32::log(sigma));
}

float sigma_of_half_log_snr(float lambda, const ModelSampling& sampling) {
  return sampling.is_flow() ? 1.0f / (1.0f + f32::exp(lambda)) : f32::exp(-lambda);
}

void avoid_infinite_snr(Run& run) {
  constexpr double kJustBelow = 1e-4;  // of the sampling
  if (run.sampling.is_flow() && run.steps() > 0 && run.sigma(0) >= 1)
    run.sigmas[0] = static_cast<float>(run.sampling.percent_to_sigma(kJustBelow));
}

AncestralStep ancestral_step(float from, float to, float eta) {
  if (eta == 0) return {to, 0};
  float up = std::min(to, eta * f32::sqrt(to * to * (from * from - to * to) / (from * from)));
  return {f32::sqrt(to * to - up * up), up};
}

FlowAncestralStep flow_ancestral_step(float from, float to, float eta) {
  float down = to * (1.0f + (to / from - 1.0f) * eta);
  float alpha = 1.0f - to, alpha_down = 1.0f - down;
  float noise = f32::sqrt(to * to - down * down * (alpha * alpha) / (alpha_down * alpha_down));
  return {down, alpha / alpha_down, noise};
}

double adams_coefficient(std::span<const float> t, int64_t order, int64_t i, int64_t j) {
  const auto at = [&](int64_t k) { return static_cast<double>(t[static_cast<size_t>(k)]); };
  std::vector<double> polynomial = {1};  // ascending powers of (tau - t[i])
  for (int64_t k = 0; k < order; ++k) {
    if (k == j) continue;
    double root = at(i - k) - at(i), scale = at(i - j) - at(i - k);
    polynomial.push_back(0);
    for (size_t p = polynomial.size() - 1; p > 0; --p)
      polynomial[p] = (polynomial[p - 1] - root * polynomial[p]) / scale;
    polynomial[0] = -root * polynomial[0] / scale;
  }
  double h = at(i + 1) - at(i), power = h, integral = 0;
  for (size_t p = 0; p < polynomial.size(); ++p, power *= h)
    integral += polynomial[p] * power / static_cast<double>(p + 1);
  return integral;
}

std::vector<float> solve(std::vector<float> a, std::vector<float> b) {
  const size_t n = b.size();
  check(a.size() == n * n, "a linear system has as many rows as unknowns");
  auto at = [&](size_t row, size_t column) -> float& { return a[row * n + column]; };
  for (size_t k = 0; k < n; ++k) {
    size_t pivot = k;
    for (size_t row = k + 1; row < n; ++row)
      if (std::fabs(at(row, k)) > std::fabs(at(pivot, k))) pivot = row;
    if (pivot != k) {
      for (size_t column = 0; column < n; ++column) std::swap(at(k, column), at(pivot, column));
      std::swap(b[k], b[pivot]);
    }
    for (size_t row = k + 1; row < n; ++row) {
      float factor = at(row, k) / at(k, k);
      for (size_t column = k + 1; column < n; ++column) at(row, column) -= factor * at(k, column);
      b[row] -= factor * b[k];
    }
  }
  for (size_t k = n; k-- > 0;) {
    for (size_t column = k + 1; column < n; ++column) b[k] -= at(k, column) * b[column];
    b[k] /= at(k, k);
  }
  return b;
}

Field weighted_sum(std::span<const Field> fields, std::span<const float> w) {
  Field sum = fields[0] * w[0];
  for (size_t k = 1; k < w.size(); ++k) sum = sum + fields[k] * w[k];
  return sum;
}

}  // namespace hearth::diffuse
