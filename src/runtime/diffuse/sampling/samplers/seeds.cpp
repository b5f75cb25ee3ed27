// SEEDS, exponential SDE solvers of two and three stages (arXiv 2305.14267), and exponential Heun, which is SEEDS-2
// with its stage at the end of the step. The noise of a stage is carried on into the next, so that all are of one
// motion.
#include "runtime/diffuse/sampling/samplers/families.h"

namespace hearth::diffuse {
namespace {

float h_phi_1(float h) { return f32::expm1(h); }
float h_phi_2(float h) { return (f32::expm1(h) - h) / h; }

struct Seeds2 {
  float eta, s_noise;
  double r;
  bool is_phi_2;
};

Field lerp(const Field& a, const Field& b, float w) {
  Field out(a.size());
  for (int64_t i = 0; i < a.size(); ++i) out[i] = f32::lerp(a[i], b[i], w);
  return out;
}

/// Noise at a later stage, given that at an earlier one and the (negative) scaled log SNR between them.
Field carried_noise(Run& run, const Field& noise, float segment) {
  return noise * f32::exp(segment) + f32::sqrt(-f32::expm1(segment * 2.0f)) * run.noise();
}

Field seeds_2(Run& run, Field x, const Seeds2& how) {
  const float r = static_cast<float>(how.r), eta = how.eta;
  const bool is_noisy = eta > 0 && how.s_noise > 0;
  avoid_infinite_snr(run);
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1);
    Field denoised = run.denoise(x, from);
    run.tell(i, x, denoised);
    if (to == 0) {
      x = denoised;
      continue;
    }
    const float lambda_s = half_log_snr(from, run.sampling), lambda_t = half_log_snr(to, run.sampling);
    const float h = lambda_t - lambda_s, h_eta = h * static_cast<float>(static_cast<double>(eta) + 1);
    const float lambda_1 = f32::lerp(lambda_s, lambda_t, r), mid = sigma_of_half_log_snr(lambda_1, run.sampling);
    const float alpha_1 = mid * f32::exp(lambda_1), alpha_t = to * f32::exp(lambda_t);

    Field x_2 = mid / from * f32::exp(-r * h * eta) * x - alpha_1 * h_phi_1(-r * h_eta) * denoised;
    Field noise;
    if (is_noisy) {
      noise = f32::sqrt(-f32::expm1(static_cast<float>(-2 * how.r) * h * eta)) * run.noise();
      x_2 = x_2 + noise * mid * how.s_noise;
    }
    Field denoised_2 = run.denoise(x_2, mid);

    const float kept = to / from * f32::exp(-h * eta);
    if (how.is_phi_2) {
      const float b_2 = h_phi_2(-h_eta) / r, b_1 = h_phi_1(-h_eta) - b_2;
      x = kept * x - alpha_t * (b_1 * denoised + b_2 * denoised_2);
    } else {
      x = kept * x - alpha_t * h_phi_1(-h_eta) * lerp(denoised, denoised_2, static_cast<float>(1 / (2 * how.r)));
    }
    if (is_noisy) {
      noise = carried_noise(run, noise, static_cast<float>(how.r - 1) * h * eta);
      x = x + noise * to * how.s_noise;
    }
  }
  return x;
}

}  // namespace

Field seeds_2(Run& run, Field x) {
  return seeds_2(run, std::move(x),
                 {run.f("eta"), run.f("s_noise"), run.number("r"), run.text("solver_type") == "phi_2"});
}

Field exp_heun_2_x0(Run& run, Field x) {
  return seeds_2(run, std::move(x), {0, 0, 1, run.text("solver_type") == "phi_2"});
}

Field exp_heun_2_x0_sde(Run& run, Field x) {
  return seeds_2(run, std::move(x), {run.f("eta"), run.f("s_noise"), 1, run.text("solver_type") == "phi_2"});
}

Field seeds_3(Run& run, Field x) {
  const float eta = run.f("eta"), s_noise = run.f("s_noise"), r_1 = run.f("r_1"), r_2 = run.f("r_2");
  const double exact_1 = run.number("r_1"), exact_2 = run.number("r_2");
  const bool is_noisy = eta > 0 && s_noise > 0;
  avoid_infinite_snr(run);
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1);
    Field denoised = run.denoise(x, from);
    run.tell(i, x, denoised);
    if (to == 0) {
      x = denoised;
      continue;
    }
    const float lambda_s = half_log_snr(from, run.sampling), lambda_t = half_log_snr(to, run.sampling);
    const float h = lambda_t - lambda_s, h_eta = h * static_cast<float>(run.number("eta") + 1);
    const float lambda_1 = f32::lerp(lambda_s, lambda_t, r_1), lambda_2 = f32::lerp(lambda_s, lambda_t, r_2);
    const float sigma_1 = sigma_of_half_log_snr(lambda_1, run.sampling);
    const float sigma_2 = sigma_of_half_log_snr(lambda_2, run.sampling);
    const float alpha_1 = sigma_1 * f32::exp(lambda_1), alpha_2 = sigma_2 * f32::exp(lambda_2);
    const float alpha_t = to * f32::exp(lambda_t);

    Field x_2 = sigma_1 / from * f32::exp(-r_1 * h * eta) * x - alpha_1 * h_phi_1(-r_1 * h_eta) * denoised;
    Field noise;
    if (is_noisy) {
      noise = f32::sqrt(-f32::expm1(static_cast<float>(-2 * exact_1) * h * eta)) * run.noise();
      x_2 = x_2 + noise * sigma_1 * s_noise;
    }
    Field denoised_2 = run.denoise(x_2, sigma_1);

    const float a_2 = static_cast<float>(exact_2 / exact_1) * h_phi_2(-r_2 * h_eta), a_1 = h_phi_1(-r_2 * h_eta) - a_2;
    Field x_3 = sigma_2 / from * f32::exp(-r_2 * h * eta) * x - alpha_2 * (a_1 * denoised + a_2 * denoised_2);
    if (is_noisy) {
      noise = carried_noise(run, noise, static_cast<float>(exact_1 - exact_2) * h * eta);
      x_3 = x_3 + noise * sigma_2 * s_noise;
    }
    Field denoised_3 = run.denoise(x_3, sigma_2);

    const float b_3 = h_phi_2(-h_eta) / r_2, b_1 = h_phi_1(-h_eta) - b_3;
    x = to / from * f32::exp(-h * eta) * x - alpha_t * (b_1 * denoised + b_3 * denoised_3);
    if (is_noisy) {
      noise = carried_noise(run, noise, static_cast<float>(exact_2 - 1) * h * eta);
      x = x + noise * to * s_noise;
    }
  }
  return x;
}

}  // namespace hearth::diffuse
