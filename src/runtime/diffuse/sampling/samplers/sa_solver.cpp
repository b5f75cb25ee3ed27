// SA-Solver, stochastic Adams with a predictor and a corrector (arXiv 2309.05019). Tau says how stochastic a step is;
// lambda is half the log SNR.
#include <algorithm>
#include <cmath>

#include "runtime/diffuse/sampling/samplers/families.h"

namespace hearth::diffuse {
namespace {

/// (1 + tau²) times the integral of exp((1 + tau²) x) x^p from s to t, exp((1 + tau²) t) factored out, for each p.
std::vector<float> exponential_integrals(float s, float t, int64_t order, double tau) {
  const double tau_scale = 1 + tau * tau;
  const float log_scale = static_cast<float>(std::log(tau_scale));
  const float decay = f32::exp(static_cast<float>(-tau_scale) * (t - s));
  std::vector<float> terms, log_factorial, sums;
  for (int64_t p = 0; p < order; ++p) {
    terms.push_back(f32::pow(t, static_cast<double>(p)) - f32::pow(s, static_cast<double>(p)) * decay);
    log_factorial.push_back(static_cast<float>(std::lgamma(static_cast<double>(p + 1))));
    float sum = 0;
    for (int64_t q = 0; q <= p; ++q) {  // integration by parts: (-1)^(p-q) p!/q! / (1 + tau²)^(p-q)
      float log_factor = log_factorial[static_cast<size_t>(p)] - log_factorial[static_cast<size_t>(q)];
      if (tau > 0) log_factor -= static_cast<float>(p - q) * log_scale;
      float factor = f32::exp(log_factor) * ((p - q) % 2 == 0 ? 1.0f : -1.0f);
      sum += factor * terms[static_cast<size_t>(q)];
    }
    sums.push_back(sum);
  }
  return sums;
}

struct AdamsStep {
  float sigma_next;
  std::span<const float> lambdas;  // of the guesses used, oldest first
  float lambda_s, lambda_t;
  double tau;
  bool is_corrector;
};

/// The paper's shorter formulas for two guesses (appendix D).
std::vector<float> simple_weights(const AdamsStep& step) {
  const double tau_scale = 1 + step.tau * step.tau;
  const float h = step.lambda_t - step.lambda_s, alpha = step.sigma_next * f32::exp(step.lambda_t);
  const float total = alpha * -f32::expm1(-h * static_cast<float>(tau_scale));
  const float half = static_cast<float>(0.5 * tau_scale);
  if (step.is_corrector) {
    float newest = alpha * (half * h);
    return {total - newest, newest};
  }
  float oldest = alpha * (half * (h * h)) / (step.lambdas[step.lambdas.size() - 2] - step.lambda_s);
  return {oldest, total - oldest};
}

/// Weights of the guesses: the exponential integrals of their Lagrange polynomials.
std::vector<float> adams_weights(const AdamsStep& step, bool is_simple_order_2) {
  const size_t n = step.lambdas.size();
  if (is_simple_order_2 && n == 2) return simple_weights(step);
  std::vector<float> powers(n * n, 1.0f);  // row p: lambda^p
  for (size_t p = 1; p < n; ++p)
    for (size_t k = 0; k < n; ++k) powers[p * n + k] = powers[(p - 1) * n + k] * step.lambdas[k];
  auto integrals = exponential_integrals(step.lambda_s, step.lambda_t, static_cast<int64_t>(n), step.tau);
  std::vector<float> w = solve(std::move(powers), std::move(integrals));
  const float alpha = step.sigma_next * f32::exp(step.lambda_t);
  for (float& weight : w) weight *= alpha;
  return w;
}

}  // namespace

Field sa_solver(Run& run, Field x) {
  if (run.steps() < 1) return x;
  const float s_noise = run.f("s_noise");
  const int64_t predictor_order = run.whole("predictor_order"), corrector_order = run.whole("corrector_order");
  const bool is_pece = run.flag("use_pece"), is_simple = run.flag("simple_order_2");
  const size_t kept = static_cast<size_t>(std::max(predictor_order, corrector_order));
  avoid_infinite_snr(run);
  std::vector<float> lambdas;
  for (float sigma : run.sigmas) lambdas.push_back(half_log_snr(sigma, run.sampling));
  const auto lambda = [&](int64_t i) { return lambdas[static_cast<size_t>(i)]; };
  const double noisy_from = run.sampling.percent_to_sigma(run.number("sde_start_percent"));
  const double noisy_to = run.sampling.percent_to_sigma(run.number("sde_end_percent"));
  const auto tau_at = [&](float sigma) {
    return noisy_from >= sigma && sigma >= noisy_to ? std::max(run.number("eta"), 0.0) : 0.0;
  };
  const bool is_last_zero = run.sigmas.back() == 0;  // lower orders near the end are steadier

  Field predicted = x, noise;
  std::vector<Field> guesses;
  double tau = 0;
  float h = 0;
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1);
    Field denoised = run.denoise(predicted, from);
    run.tell(i, predicted, denoised);
    guesses.push_back(denoised);
    if (guesses.size() > kept) guesses.erase(guesses.begin());

    const int64_t known = static_cast<int64_t>(guesses.size());
    int64_t predict = std::min(predictor_order, known);
    int64_t correct = i == 0 || (to == 0 && !is_pece) ? 0 : std::min(corrector_order, known);
    if (is_last_zero) {
      predict = std::min(predict, run.steps() - 1 - i);
      correct = std::min(correct, run.steps() - i);
    }
    const auto used = [&](int64_t n) {
      return std::span(lambdas).subspan(static_cast<size_t>(i - n + 1), static_cast<size_t>(n));
    };
    const auto newest = [&](int64_t n) { return std::span<const Field>(guesses).last(static_cast<size_t>(n)); };

    if (correct == 0) {
      x = predicted;
    } else {
      auto w = adams_weights({from, used(correct), lambda(i - 1), lambda(i), tau, true}, is_simple);
      float fade = from / run.sigma(i - 1) * f32::exp(static_cast<float>(-(tau * tau)) * h);
      x = fade * x + weighted_sum(newest(correct), w);
      if (tau > 0 && s_noise > 0) x = x + noise;  // that of the prediction
      if (is_pece) {
        denoised = run.denoise(x, from);
        guesses.back() = denoised;
      }
    }
    if (to == 0) {
      predicted = denoised;
      continue;
    }
    tau = tau_at(to);
    auto w = adams_weights({to, used(predict), lambda(i), lambda(i + 1), tau, false}, is_simple);
    h = lambda(i + 1) - lambda(i);
    float fade = to / from * f32::exp(static_cast<float>(-(tau * tau)) * h);
    predicted = fade * x + weighted_sum(newest(predict), w);
    if (tau > 0 && s_noise > 0) {
      noise = run.noise() * to * f32::sqrt(-f32::expm1(static_cast<float>(-2 * tau * tau) * h)) * s_noise;
      predicted = predicted + noise;
    }
  }
  return predicted;
}

}  // namespace hearth::diffuse
