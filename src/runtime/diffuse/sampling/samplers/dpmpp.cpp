// DPM-Solver++ (arXiv 2211.01095) in t = -log sigma: 2S, with noise between the steps, and 2M; each also with CFG++.
#include "runtime/diffuse/sampling/samplers/families.h"

namespace hearth::diffuse {
namespace {

float time_of(float sigma) { return -f32::log(sigma); }
float sigma_of(float t) { return f32::exp(-t); }

Field dpmpp_2s_ancestral_flow(Run& run, Field x) {
  const float eta = run.f("eta"), s_noise = run.f("s_noise");
  const auto log_snr = [](float sigma) { return f32::log((1.0f - sigma) / sigma); };
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1);
    Field denoised = run.denoise(x, from);
    FlowAncestralStep step = flow_ancestral_step(from, to, eta);
    run.tell(i, x, denoised);
    if (to == 0) {
      Field d = (x - denoised) / from;
      x = x + d * (step.down - from);
      continue;
    }
    float mid = 0.9999f;  // pure noise has no finite ratio
    if (from != 1) mid = 1.0f / (f32::exp(log_snr(from) + 0.5f * (log_snr(step.down) - log_snr(from))) + 1.0f);
    float ratio = mid / from;
    Field u = ratio * x + (1.0f - ratio) * denoised;
    Field denoised_2 = run.denoise(u, mid);
    ratio = step.down / from;
    x = ratio * x + (1.0f - ratio) * denoised_2;
    if (eta > 0) x = step.latent_scale * x + run.noise() * s_noise * step.noise_scale;
  }
  return x;
}

}  // namespace

Field dpmpp_2s_ancestral(Run& run, Field x) {
  if (run.sampling.is_flow()) return dpmpp_2s_ancestral_flow(run, std::move(x));
  const float eta = run.f("eta"), s_noise = run.f("s_noise");
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1);
    Field denoised = run.denoise(x, from);
    AncestralStep step = ancestral_step(from, to, eta);
    run.tell(i, x, denoised);
    if (step.down == 0) {
      Field d = (x - denoised) / from;
      x = x + d * (step.down - from);
    } else {
      const float t = time_of(from), t_next = time_of(step.down), h = t_next - t, s = t + 0.5f * h;
      Field x_2 = sigma_of(s) / sigma_of(t) * x - f32::expm1(-h * 0.5f) * denoised;
      Field denoised_2 = run.denoise(x_2, sigma_of(s));
      x = sigma_of(t_next) / sigma_of(t) * x - f32::expm1(-h) * denoised_2;
    }
    if (to > 0) x = x + run.noise() * s_noise * step.up;
  }
  return x;
}

Field dpmpp_2s_ancestral_cfg_pp(Run& run, Field x) {
  const float eta = run.f("eta"), s_noise = run.f("s_noise");
  run.model.keep_uncond();
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1);
    Field denoised = run.denoise(x, from);
    AncestralStep step = ancestral_step(from, to, eta);
    run.tell(i, x, denoised);
    if (step.down == 0) {
      Field d = (x - run.model.uncond()) / from;
      x = denoised + d * step.down;
    } else {
      const float t = time_of(from), t_next = time_of(step.down), h = t_next - t, s = t + 0.5f * h;
      Field x_2 = sigma_of(s) / sigma_of(t) * (x + (denoised - run.model.uncond())) - f32::expm1(-h * 0.5f) * denoised;
      Field denoised_2 = run.denoise(x_2, sigma_of(s));
      x = sigma_of(t_next) / sigma_of(t) * (x + (denoised - run.model.uncond())) - f32::expm1(-h) * denoised_2;
    }
    if (to > 0) x = x + run.noise() * s_noise * step.up;
  }
  return x;
}

Field dpmpp_2m(Run& run, Field x) {
  Field before;
  for (int64_t i = 0; i < run.steps(); ++i) {
    Field denoised = run.denoise(x, run.sigma(i));
    run.tell(i, x, denoised);
    const float t = time_of(run.sigma(i)), t_next = time_of(run.sigma(i + 1)), h = t_next - t;
    if (before.empty() || run.sigma(i + 1) == 0) {
      x = sigma_of(t_next) / sigma_of(t) * x - f32::expm1(-h) * denoised;
    } else {
      const float r = (t - time_of(run.sigma(i - 1))) / h, ahead = 1.0f / (2.0f * r);
      x = sigma_of(t_next) / sigma_of(t) * x - f32::expm1(-h) * ((1.0f + ahead) * denoised - ahead * before);
    }
    before = std::move(denoised);
  }
  return x;
}

Field dpmpp_2m_cfg_pp(Run& run, Field x) {
  run.model.keep_uncond();
  Field before;
  for (int64_t i = 0; i < run.steps(); ++i) {
    Field denoised = run.denoise(x, run.sigma(i));
    const Field& uncond = run.model.uncond();
    run.tell(i, x, denoised);
    const float t = time_of(run.sigma(i)), h = time_of(run.sigma(i + 1)) - t, fade = f32::exp(-h);
    if (before.empty() || run.sigma(i + 1) == 0) {
      x = denoised + -fade * uncond + fade * x;
    } else {
      const float r = (t - time_of(run.sigma(i - 1))) / h;
      x = denoised + (-fade * uncond - f32::expm1(-h) * (1.0f / (2.0f * r)) * (denoised - before)) + fade * x;
    }
    before = uncond;
  }
  return x;
}

}  // namespace hearth::diffuse
