// Samplers that put fresh noise on every guess: DDPM's posterior (Ho et al. 2020) and LCM (arXiv 2310.04378).
#include "runtime/diffuse/sampling/samplers/families.h"

namespace hearth::diffuse {

Field ddpm(Run& run, Field x) {
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1);
    Field denoised = run.denoise(x, from);
    run.tell(i, x, denoised);
    Field eps = (x - denoised) / from;
    const float bar = 1.0f / (from * from + 1.0f), bar_next = 1.0f / (to * to + 1.0f), alpha = bar / bar_next;
    x = f32::sqrt(1.0f / alpha) * (x / f32::sqrt(1.0f + from * from) - (1.0f - alpha) * eps / f32::sqrt(1.0f - bar));
    if (to == 0) continue;
    x = x + f32::sqrt((1.0f - alpha) * (1.0f - bar_next) / (1.0f - bar)) * run.noise();
    x = x * f32::sqrt(1.0f + to * to);
  }
  return x;
}

Field lcm(Run& run, Field x) {
  for (int64_t i = 0; i < run.steps(); ++i) {
    Field denoised = run.denoise(x, run.sigma(i));
    run.tell(i, x, denoised);
    if (run.sigma(i + 1) > 0)
      x = run.sampling.noise_scaling(run.sigma(i + 1), run.noise(), denoised);
    else
      x = std::move(denoised);
  }
  return x;
}

}  // namespace hearth::diffuse
