// RES, second order multistep (arXiv 2308.02157), plain, ancestral and with CFG++.
#include <cmath>
#include <limits>

#include "runtime/diffuse/sampling/samplers/families.h"

namespace hearth::diffuse {
namespace {

float time_of(float sigma) { return -f32::log(sigma); }

/// Not a number counts as 0, infinity as the largest number.
float finite(float x) {
  if (std::isnan(x)) return 0;
  return std::isinf(x) ? std::copysign(std::numeric_limits<float>::max(), x) : x;
}

Field multistep(Run& run, Field x, float eta, bool is_cfg_pp) {
  const float s_noise = run.f("s_noise");
  if (is_cfg_pp) run.model.keep_uncond();
  Field before;
  float down_before = 0;
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1);
    Field denoised = run.denoise(x, from);
    const Field& guess = is_cfg_pp ? run.model.uncond() : denoised;
    AncestralStep step = ancestral_step(from, to, eta);
    run.tell(i, x, denoised);
    if (step.down == 0 || before.empty()) {
      Field d = (x - guess) / from;
      if (is_cfg_pp)
        x = denoised + d * step.down;
      else
        x = x + d * (step.down - from);
    } else {
      const float h = time_of(step.down) - time_of(from);
      const float c_2 = (time_of(run.sigma(i - 1)) - time_of(down_before)) / h;
      const float phi_1 = f32::expm1(-h) / -h, phi_2 = (phi_1 - 1.0f) / -h;
      const float b_1 = finite(phi_1 - phi_2 / c_2), b_2 = finite(phi_2 / c_2);
      if (is_cfg_pp) x = x + (denoised - guess);
      x = f32::exp(-h) * x + h * (b_1 * guess + b_2 * before);
    }
    if (to > 0 && step.up != 0) x = x + run.noise() * s_noise * step.up;
    before = guess;
    down_before = step.down;
  }
  return x;
}

}  // namespace

Field res_multistep(Run& run, Field x) { return multistep(run, std::move(x), 0, false); }
Field res_multistep_cfg_pp(Run& run, Field x) { return multistep(run, std::move(x), 0, true); }
Field res_multistep_ancestral(Run& run, Field x) { return multistep(run, std::move(x), run.f("eta"), false); }
Field res_multistep_ancestral_cfg_pp(Run& run, Field x) { return multistep(run, std::move(x), run.f("eta"), true); }

}  // namespace hearth::diffuse
