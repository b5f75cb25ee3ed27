// DPM-Solver++ for the diffusion SDE (arXiv 2211.01095 and k-diffusion), one, two and three steps back, with Brownian
// noise. Lambda is half the log SNR; alpha scales the clean latent.
#include "runtime/diffuse/sampling/samplers/families.h"

namespace hearth::diffuse {

Field dpmpp_sde(Run& run, Field x) {
  const float eta = run.f("eta"), s_noise = run.f("s_noise"), r = run.f("r");
  const double fac = 1 / (2 * run.number("r"));
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
    const float lambda_1 = lambda_s + r * (lambda_t - lambda_s);
    const float mid = sigma_of_half_log_snr(lambda_1, run.sampling);
    const float alpha_s = from * f32::exp(lambda_s), alpha_1 = mid * f32::exp(lambda_1);
    const float alpha_t = to * f32::exp(lambda_t);

    AncestralStep step = ancestral_step(f32::exp(-lambda_s), f32::exp(-lambda_1), eta);
    float h = -f32::log(step.down) - lambda_s;
    Field x_2 = alpha_1 / alpha_s * f32::exp(-h) * x - alpha_1 * f32::expm1(-h) * denoised;
    if (is_noisy) x_2 = x_2 + alpha_1 * run.brownian_noise(from, mid) * s_noise * step.up;
    Field denoised_2 = run.denoise(x_2, mid);

    step = ancestral_step(f32::exp(-lambda_s), f32::exp(-lambda_t), eta);
    h = -f32::log(step.down) - lambda_s;
    Field blend = static_cast<float>(1 - fac) * denoised + static_cast<float>(fac) * denoised_2;
    x = alpha_t / alpha_s * f32::exp(-h) * x - alpha_t * f32::expm1(-h) * blend;
    if (is_noisy) x = x + alpha_t * run.brownian_noise(from, to) * s_noise * step.up;
  }
  return x;
}

Field dpmpp_2m_sde(Run& run, Field x) {
  const float eta = run.f("eta"), s_noise = run.f("s_noise");
  const bool is_heun = run.text("solver_type") == "heun";
  avoid_infinite_snr(run);
  Field before;
  float h_before = 0;
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1);
    Field denoised = run.denoise(x, from);
    run.tell(i, x, denoised);
    if (to == 0) {
      x = denoised;
      continue;
    }
    const float lambda_t = half_log_snr(to, run.sampling), h = lambda_t - half_log_snr(from, run.sampling);
    const float h_eta = h * static_cast<float>(run.number("eta") + 1), alpha_t = to * f32::exp(lambda_t);
    const float phi_1 = -f32::expm1(-h_eta);
    x = to / from * f32::exp(-h * eta) * x + alpha_t * phi_1 * denoised;
    if (!before.empty()) {
      const float one_over_r = 1.0f / (h_before / h);
      if (is_heun)
        x = x + alpha_t * (phi_1 / -h_eta + 1.0f) * one_over_r * (denoised - before);
      else
        x = x + 0.5f * alpha_t * phi_1 * one_over_r * (denoised - before);
    }
    if (eta > 0 && s_noise > 0)
      x = x + run.brownian_noise(from, to) * to * f32::sqrt(-f32::expm1(-2.0f * h * eta)) * s_noise;
    before = std::move(denoised);
    h_before = h;
  }
  return x;
}

Field dpmpp_3m_sde(Run& run, Field x) {
  const float eta = run.f("eta"), s_noise = run.f("s_noise");
  avoid_infinite_snr(run);
  Field denoised_1, denoised_2;
  float h_1 = 0, h_2 = 0;
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1);
    Field denoised = run.denoise(x, from);
    run.tell(i, x, denoised);
    if (to == 0) {
      x = denoised;
      continue;
    }
    const float lambda_t = half_log_snr(to, run.sampling), h = lambda_t - half_log_snr(from, run.sampling);
    const float h_eta = h * static_cast<float>(run.number("eta") + 1), alpha_t = to * f32::exp(lambda_t);
    x = to / from * f32::exp(-h * eta) * x + alpha_t * -f32::expm1(-h_eta) * denoised;
    const float phi_2 = f32::expm1(-h_eta) / h_eta + 1.0f;
    if (!denoised_2.empty()) {
      const float r_0 = h_1 / h, r_1 = h_2 / h, phi_3 = phi_2 / h_eta - 0.5f;
      Field d_0 = (denoised - denoised_1) / r_0, d_1 = (denoised_1 - denoised_2) / r_1;
      Field first = d_0 + (d_0 - d_1) * r_0 / (r_0 + r_1), second = (d_0 - d_1) / (r_0 + r_1);
      x = x + alpha_t * phi_2 * first - alpha_t * phi_3 * second;
    } else if (!denoised_1.empty()) {
      Field d = (denoised - denoised_1) / (h_1 / h);
      x = x + alpha_t * phi_2 * d;
    }
    if (eta > 0 && s_noise > 0)
      x = x + run.brownian_noise(from, to) * to * f32::sqrt(-f32::expm1(-2.0f * h * eta)) * s_noise;
    denoised_2 = std::move(denoised_1);
    denoised_1 = std::move(denoised);
    h_2 = h_1;
    h_1 = h;
  }
  return x;
}

}  // namespace hearth::diffuse
