// Euler's method along the slope (Karras et al. 2022), ancestral and with CFG++ (arXiv 2406.08070).
#include "runtime/diffuse/sampling/samplers/families.h"

namespace hearth::diffuse {
namespace {

Field euler_ancestral_flow(Run& run, Field x) {
  const float eta = run.f("eta"), s_noise = run.f("s_noise");
  for (int64_t i = 0; i < run.steps(); ++i) {
    Field denoised = run.denoise(x, run.sigma(i));
    run.tell(i, x, denoised);
    if (run.sigma(i + 1) == 0) {
      x = denoised;
      continue;
    }
    FlowAncestralStep step = flow_ancestral_step(run.sigma(i), run.sigma(i + 1), eta);
    float ratio = step.down / run.sigma(i);
    x = ratio * x + (1.0f - ratio) * denoised;
    if (eta > 0) x = step.latent_scale * x + run.noise() * s_noise * step.noise_scale;
  }
  return x;
}

Field euler_cfg_pp(Run& run, Field x, float eta, float s_noise) {
  run.model.keep_uncond();
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1);
    Field denoised = run.denoise(x, from);
    run.tell(i, x, denoised);
    if (to == 0) {
      x = denoised;
      continue;
    }
    float alpha_s = from * f32::exp(half_log_snr(from, run.sampling));
    float alpha_t = to * f32::exp(half_log_snr(to, run.sampling));
    Field d = (x - alpha_s * run.model.uncond()) / from;
    AncestralStep step = ancestral_step(from / alpha_s, to / alpha_t, eta);
    x = alpha_t * denoised + alpha_t * step.down * d;
    if (eta > 0 && s_noise > 0) x = x + alpha_t * run.noise() * s_noise * step.up;
  }
  return x;
}

}  // namespace

Field euler(Run& run, Field x) {
  for (int64_t i = 0; i < run.steps(); ++i) {
    Field denoised = run.denoise(x, run.sigma(i));
    run.tell(i, x, denoised);
    Field d = (x - denoised) / run.sigma(i);
    x = x + d * (run.sigma(i + 1) - run.sigma(i));
  }
  return x;
}

Field euler_ancestral(Run& run, Field x) {
  if (run.sampling.is_flow()) return euler_ancestral_flow(run, std::move(x));
  const float eta = run.f("eta"), s_noise = run.f("s_noise");
  for (int64_t i = 0; i < run.steps(); ++i) {
    Field denoised = run.denoise(x, run.sigma(i));
    AncestralStep step = ancestral_step(run.sigma(i), run.sigma(i + 1), eta);
    run.tell(i, x, denoised);
    if (step.down == 0) {
      x = denoised;
      continue;
    }
    Field d = (x - denoised) / run.sigma(i);
    x = x + d * (step.down - run.sigma(i)) + run.noise() * s_noise * step.up;
  }
  return x;
}

Field euler_cfg_pp(Run& run, Field x) { return euler_cfg_pp(run, std::move(x), 0, 0); }

Field euler_ancestral_cfg_pp(Run& run, Field x) {
  return euler_cfg_pp(run, std::move(x), run.f("eta"), run.f("s_noise"));
}

}  // namespace hearth::diffuse
