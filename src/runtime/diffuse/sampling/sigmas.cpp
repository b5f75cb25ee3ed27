// Schedules by formula and what nodes do to a list of noise levels (schedule.h).
#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/base/error.h"
#include "runtime/diffuse/sampling/beta_quantile.h"
#include "runtime/diffuse/sampling/scalar.h"
#include "runtime/diffuse/sampling/schedule.h"

namespace hearth::diffuse {
namespace {

/// steps levels by a formula of their number, then 0.
template <class F>
Sigmas levels(int64_t steps, F&& level) {
  Sigmas sigmas;
  for (int64_t i = 0; i < steps; ++i) sigmas.push_back(level(i));
  sigmas.push_back(0);
  return sigmas;
}

float as_float(double x) { return static_cast<float>(x); }

}  // namespace

Sigmas karras_sigmas(int64_t steps, double sigma_min, double sigma_max, double rho) {
  double low = std::pow(sigma_min, 1 / rho), high = std::pow(sigma_max, 1 / rho);
  Sigmas sigmas =
      levels(steps, [&](int64_t i) { return as_float(high) + f32::linspace(0, 1, steps, i) * as_float(low - high); });
  f32::pow_each(std::span(sigmas).first(static_cast<size_t>(steps)), rho);
  return sigmas;
}

Sigmas exponential_sigmas(int64_t steps, double sigma_min, double sigma_max) {
  float first = as_float(std::log(sigma_max)), last = as_float(std::log(sigma_min));
  return levels(steps, [&](int64_t i) { return f32::exp(f32::linspace(first, last, steps, i)); });
}

Sigmas polyexponential_sigmas(int64_t steps, double sigma_min, double sigma_max, double rho) {
  double low = std::log(sigma_min), high = std::log(sigma_max);
  Sigmas sigmas = levels(steps, [&](int64_t i) { return f32::linspace(1, 0, steps, i); });
  auto ramp = std::span(sigmas).first(static_cast<size_t>(steps));
  f32::pow_each(ramp, rho);
  for (float& at : ramp) at = f32::exp(at * as_float(high - low) + as_float(low));
  return sigmas;
}

Sigmas laplace_sigmas(int64_t steps, double sigma_min, double sigma_max, double mu, double beta) {
  Sigmas sigmas = levels(steps, [&](int64_t i) {
    float x = 0.5f - f32::linspace(0, 1, steps, i);
    float sign = x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f;
    float log_sigma = as_float(mu) - as_float(beta) * sign * f32::log(1.0f - 2.0f * std::fabs(x) + 1e-5f);
    return std::min(std::max(f32::exp(log_sigma), as_float(sigma_min)), as_float(sigma_max));
  });
  sigmas.pop_back();  // this one ends above 0
  return sigmas;
}

Sigmas vp_sigmas(int64_t steps, double beta_d, double beta_min, double eps_s) {
  return levels(steps, [&](int64_t i) {
    float t = f32::linspace(1, as_float(eps_s), steps, i);
    return f32::sqrt(f32::expm1(as_float(beta_d) * (t * t) / 2.0f + as_float(beta_min) * t));
  });
}

Sigmas kl_optimal_sigmas(int64_t steps, double sigma_min, double sigma_max) {
  float low = as_float(std::atan(sigma_min)), high = as_float(std::atan(sigma_max));
  return levels(steps, [&](int64_t i) {
    float part = steps == 1 ? 0.0f : static_cast<float>(i) / static_cast<float>(steps - 1);
    return f32::tan(part * low + (1.0f - part) * high);
  });
}

Sigmas beta_sigmas(const ModelSampling& model, int64_t steps, double alpha, double beta) {
  if (!(alpha > 0) || !(beta > 0))
    throw Error(Code::kInvalidArgument, "a beta schedule needs alpha and beta above 0, not " + std::to_string(alpha) +
                                            " and " + std::to_string(beta));
  double last_entry = static_cast<double>(model.sigmas.size() - 1), stride = 1.0 / static_cast<double>(steps);
  Sigmas sigmas;
  double before = -1;
  for (int64_t i = 0; i < steps; ++i) {
    // Half way goes up, where the reference's median of the default, a bit above 0.5, lies.
    double entry = std::floor(beta_quantile(1 - static_cast<double>(i) * stride, alpha, beta) * last_entry + 0.5);
    if (entry != before) sigmas.push_back(model.sigmas[static_cast<size_t>(entry)]);
    before = entry;
  }
  sigmas.push_back(0);
  return sigmas;
}

Sigmas sd_turbo_sigmas(const ModelSampling& model, int64_t steps, double denoise) {
  int64_t first = 10 - static_cast<int64_t>(10 * denoise);
  Sigmas sigmas;
  for (int64_t i = first; i < std::min<int64_t>(first + steps, 10); ++i)
    sigmas.push_back(model.sigma(static_cast<float>((10 - i) * 100 - 1)));
  sigmas.push_back(0);
  return sigmas;
}

Result<Sigmas> align_your_steps_sigmas(std::string_view family, int64_t steps, double denoise) {
  using Levels = std::array<double, 11>;
  constexpr Levels kSd1 = {14.6146412293, 6.4745760956, 3.8636745985, 2.6946151520, 1.8841921177, 1.3943805092,
                           0.9642583904,  0.6523686016, 0.3977456272, 0.1515232662, 0.0291671582};
  constexpr Levels kSdxl = {14.6146412293, 6.3184485287, 3.7681790315, 2.1811480769, 1.3405244945, 0.8620721141,
                            0.5550693289,  0.3798540708, 0.2332364134, 0.1114188177, 0.0291671582};
  constexpr Levels kSvd = {700.00, 54.5, 15.886, 7.977, 4.248, 1.789, 0.981, 0.403, 0.173, 0.034, 0.002};
  const Levels* optimised = family == "SD1" ? &kSd1 : family == "SDXL" ? &kSdxl : family == "SVD" ? &kSvd : nullptr;
  if (!optimised) return unexpected(Code::kInvalidArgument, "no steps were aligned for '" + std::string(family) + "'");
  if (denoise <= 0) return Sigmas();
  const auto taken = static_cast<int64_t>(std::nearbyint(static_cast<double>(steps) * std::min(denoise, 1.0)));
  Sigmas sigmas;
  for (int64_t i = steps - taken; i < steps; ++i) {
    const double at = 10.0 * static_cast<double>(i) / static_cast<double>(steps), part = at - std::floor(at);
    const auto before = static_cast<size_t>(at);
    sigmas.push_back(as_float(std::exp(std::log((*optimised)[before]) * (1 - part) +
                                       std::log((*optimised)[std::min<size_t>(before + 1, 10)]) * part)));
  }
  sigmas.push_back(0);
  return sigmas;
}

Sigmas linear_quadratic_sigmas(const ModelSampling& model, int64_t steps) {
  constexpr double kThreshold = 0.025;  // noise removed by the linear half
  const double n = static_cast<double>(steps), linear = static_cast<double>(steps / 2), quadratic = n - linear;
  const double difference = linear - kThreshold * n;
  const double square = difference / (linear * (quadratic * quadratic));
  const double slope = kThreshold / linear - 2 * difference / (quadratic * quadratic);
  Sigmas sigmas;
  for (int64_t i = 0; i <= steps; ++i) {
    double at = static_cast<double>(i), removed = i == 0 ? 0 : 1;
    if (i > 0 && i < steps)
      removed = at < linear ? at * kThreshold / linear : square * (at * at) + slope * at + square * (linear * linear);
    sigmas.push_back(as_float(1 - removed) * model.sigma_max());
  }
  return sigmas;
}

Sigmas manual_sigmas(std::string_view text) {
  auto is_digit = [&](size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '9'; };
  Sigmas sigmas;
  for (size_t at = 0; at < text.size();) {
    size_t begin = at;
    if (text[at] == '+' || text[at] == '-') ++at;
    size_t digits = at;
    while (is_digit(at)) ++at;
    bool has_fraction = at < text.size() && text[at] == '.' && is_digit(at + 1);
    if (has_fraction)
      for (++at; is_digit(at);) ++at;
    if (at == digits) {
      at = begin + 1;
      continue;
    }
    if (text[begin] == '+') ++begin;
    double value = 0;
    std::from_chars(text.data() + begin, text.data() + at, value);
    sigmas.push_back(as_float(value));
  }
  return sigmas;
}

std::pair<Sigmas, Sigmas> split_sigmas(const Sigmas& sigmas, int64_t step) {
  int64_t n = static_cast<int64_t>(sigmas.size());
  int64_t high_end = std::min(step + 1, n), low_begin = std::min(step, n);
  return {Sigmas(sigmas.begin(), sigmas.begin() + high_end), Sigmas(sigmas.begin() + low_begin, sigmas.end())};
}

std::pair<Sigmas, Sigmas> split_sigmas_denoise(const Sigmas& sigmas, double denoise) {
  int64_t n = static_cast<int64_t>(sigmas.size());
  int64_t low_steps = static_cast<int64_t>(std::nearbyint(static_cast<double>(std::max<int64_t>(n - 1, 0)) * denoise));
  int64_t high_end = low_steps == 0 ? 0 : std::max<int64_t>(n - low_steps, 0);
  int64_t low_begin = std::max<int64_t>(n - low_steps - 1, 0);
  return {Sigmas(sigmas.begin(), sigmas.begin() + high_end), Sigmas(sigmas.begin() + low_begin, sigmas.end())};
}

Sigmas flip_sigmas(const Sigmas& sigmas) {
  Sigmas flipped(sigmas.rbegin(), sigmas.rend());
  if (!flipped.empty() && flipped.front() == 0) flipped.front() = 0.0001f;
  return flipped;
}

Sigmas set_first_sigma(Sigmas sigmas, double sigma) {
  if (!sigmas.empty()) sigmas.front() = as_float(sigma);
  return sigmas;
}

Sigmas extend_intermediate_sigmas(const Sigmas& sigmas, const IntermediateSigmas& how) {
  constexpr float kPi = std::numbers::pi_v<float>;
  auto spaced = [&](float x) {
    if (how.spacing == "cosine") return f32::sin(x * kPi / 2.0f);
    if (how.spacing == "sine") return 1.0f - f32::cos(x * kPi / 2.0f);
    return x;
  };
  double start = how.start_at_sigma < 0 ? std::numeric_limits<double>::infinity() : how.start_at_sigma;
  Sigmas extended;
  for (size_t i = 0; i < sigmas.size(); ++i) {
    extended.push_back(sigmas[i]);
    bool is_inside = i + 1 < sigmas.size() && how.end_at_sigma <= sigmas[i] && sigmas[i] <= start;
    for (int64_t k = 1; is_inside && k < how.steps; ++k)
      extended.push_back(spaced(f32::linspace(0, 1, how.steps + 1, k)) * (sigmas[i + 1] - sigmas[i]) + sigmas[i]);
  }
  return extended;
}

double sampling_percent_to_sigma(const ModelSampling& model, double percent, bool is_actual_sigma) {
  if (is_actual_sigma && percent == 0) return model.sigma_max();
  if (is_actual_sigma && percent == 1) return model.sigma_min();
  return model.percent_to_sigma(percent);
}

}  // namespace hearth::diffuse
