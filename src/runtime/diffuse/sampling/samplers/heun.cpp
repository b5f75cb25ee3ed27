// Heun's method (Karras et al. 2022) and Heun++, which weighs up to three slopes by their noise levels.
#include "runtime/diffuse/sampling/samplers/families.h"

namespace hearth::diffuse {

Field heun(Run& run, Field x) {
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1), dt = to - from;
    Field denoised = run.denoise(x, from);
    Field d = (x - denoised) / from;
    run.tell(i, x, denoised);
    if (to == 0) {
      x = x + d * dt;
      continue;
    }
    Field x_2 = x + d * dt;
    Field d_2 = (x_2 - run.denoise(x_2, to)) / to;
    x = x + (d + d_2) / 2.0f * dt;
  }
  return x;
}

Field heunpp2(Run& run, Field x) {
  const float end = run.sigmas.back();
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1), dt = to - from;
    Field denoised = run.denoise(x, from);
    Field d = (x - denoised) / from;
    run.tell(i, x, denoised);
    if (to == end) {
      x = x + d * dt;
      continue;
    }
    Field x_2 = x + d * dt;
    Field d_2 = (x_2 - run.denoise(x_2, to)) / to;
    const float after = run.sigma(i + 2);
    if (after == end) {
      float w_2 = to / (2.0f * run.sigma(0)), w_1 = 1.0f - w_2;
      x = x + (d * w_1 + d_2 * w_2) * dt;
      continue;
    }
    Field x_3 = x_2 + d_2 * (after - to);
    Field d_3 = (x_3 - run.denoise(x_3, after)) / after;
    float w = 3.0f * run.sigma(0), w_2 = to / w, w_3 = after / w, w_1 = 1.0f - w_2 - w_3;
    x = x + (w_1 * d + w_2 * d_2 + w_3 * d_3) * dt;
  }
  return x;
}

}  // namespace hearth::diffuse
