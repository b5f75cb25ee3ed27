// The midpoint method in log sigma (DPM-Solver-2 as k-diffusion has it), plain and ancestral.
#include "runtime/diffuse/sampling/samplers/families.h"

namespace hearth::diffuse {
namespace {

/// One step from x with slope d at `from` to level `to`, by the slope half way.
Field midpoint_step(Run& run, const Field& x, const Field& d, float from, float to) {
  float mid = f32::exp(f32::lerp(f32::log(from), f32::log(to), 0.5f));
  Field x_2 = x + d * (mid - from);
  Field d_2 = (x_2 - run.denoise(x_2, mid)) / mid;
  return x + d_2 * (to - from);
}

}  // namespace

Field dpm_2(Run& run, Field x) {
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1);
    Field denoised = run.denoise(x, from);
    Field d = (x - denoised) / from;
    run.tell(i, x, denoised);
    if (to == 0)
      x = x + d * (to - from);
    else
      x = midpoint_step(run, x, d, from, to);
  }
  return x;
}

Field dpm_2_ancestral(Run& run, Field x) {
  const float eta = run.f("eta"), s_noise = run.f("s_noise");
  const bool is_flow = run.sampling.is_flow();
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1);
    Field denoised = run.denoise(x, from);
    AncestralStep step{};
    FlowAncestralStep flow{};
    if (is_flow)
      flow = flow_ancestral_step(from, to, eta);
    else
      step = ancestral_step(from, to, eta);
    const float down = is_flow ? flow.down : step.down;
    run.tell(i, x, denoised);
    Field d = (x - denoised) / from;
    if (down == 0) {
      x = x + d * (down - from);
      continue;
    }
    x = midpoint_step(run, x, d, from, down);
    if (is_flow)
      x = flow.latent_scale * x + run.noise() * s_noise * flow.noise_scale;
    else
      x = x + run.noise() * s_noise * step.up;
  }
  return x;
}

}  // namespace hearth::diffuse
