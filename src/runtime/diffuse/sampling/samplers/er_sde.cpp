// ER-SDE, the extended reverse-time SDE solver in three stages (arXiv 2309.06169). Lambda is sigma over alpha; phi says
// how noise is scaled along it.
#include <algorithm>
#include <cmath>

#include "runtime/diffuse/sampling/samplers/families.h"

namespace hearth::diffuse {
namespace {

constexpr int kPoints = 200;  // of the numerical integrals

struct Phi {
  bool is_power;
  double exponent;
  float operator()(float x) const {
    return is_power ? f32::pow(x, exponent) : x * (f32::exp(f32::pow(x, 0.3)) + 10.0f);
  }
};

/// The integrals of 1/phi and (lambda - lambda_s)/phi from lambda_t to lambda_s.
struct Integrals {
  float first, second;
};
Integrals integrals(const Phi& phi, float lambda_s, float lambda_t) {
  const float step = -(lambda_t - lambda_s) / static_cast<float>(kPoints);
  double first = 0, second = 0;
  for (int point = 0; point < kPoints; ++point) {
    float at = lambda_t + static_cast<float>(point) * step, scaled = phi(at);
    first += 1.0f / scaled;
    second += (at - lambda_s) / scaled;
  }
  return {static_cast<float>(first) * step, static_cast<float>(second) * step};
}

}  // namespace

Field er_sde(Run& run, Field x) {
  const std::string& solver = run.text("solver_type");
  const bool is_ode = solver == "ODE" || (solver == "Reverse-time SDE" && run.number("eta") == 0);
  const Phi phi{solver != "ER-SDE", (is_ode ? 0.0 : run.number("eta")) + 1};
  const float s_noise = is_ode ? 0.0f : run.f("s_noise");
  const int64_t max_stage = run.whole("max_stage");
  avoid_infinite_snr(run);
  const auto lambda = [&](int64_t i) { return f32::exp(-half_log_snr(run.sigma(i), run.sampling)); };
  Field before, slope_before;
  for (int64_t i = 0; i < run.steps(); ++i) {
    Field denoised = run.denoise(x, run.sigma(i));
    run.tell(i, x, denoised);
    if (run.sigma(i + 1) == 0) {
      x = denoised;
      continue;
    }
    const int64_t stage = std::min(max_stage, i + 1);
    const float lambda_s = lambda(i), lambda_t = lambda(i + 1);
    const float alpha_s = run.sigma(i) / lambda_s, alpha_t = run.sigma(i + 1) / lambda_t;
    const float r = phi(lambda_t) / phi(lambda_s);
    x = alpha_t / alpha_s * r * x + alpha_t * (1.0f - r) * denoised;
    if (stage >= 2) {
      const float dt = lambda_t - lambda_s;
      const Integrals over = integrals(phi, lambda_s, lambda_t);
      Field slope = (denoised - before) / (lambda_s - lambda(i - 1));
      x = x + alpha_t * (dt + over.first * phi(lambda_t)) * slope;
      if (stage >= 3) {
        Field bend = (slope - slope_before) / ((lambda_s - lambda(i - 2)) / 2.0f);
        x = x + alpha_t * (dt * dt / 2.0f + over.second * phi(lambda_t)) * bend;
      }
      slope_before = std::move(slope);
    }
    if (s_noise > 0) {
      float deviation = f32::sqrt(lambda_t * lambda_t - lambda_s * lambda_s * (r * r));
      x = x + alpha_t * run.noise() * s_noise * (std::isnan(deviation) ? 0.0f : deviation);
    }
    before = std::move(denoised);
  }
  return x;
}

}  // namespace hearth::diffuse
