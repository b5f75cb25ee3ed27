// Gradient estimation (arXiv 2306.04848): Euler with the slope extrapolated by gamma, plain and with CFG++.
#include "runtime/diffuse/sampling/samplers/families.h"

namespace hearth::diffuse {
namespace {

Field estimate(Run& run, Field x, bool is_cfg_pp) {
  const float beyond = static_cast<float>(run.number("ge_gamma") - 1);
  if (is_cfg_pp) run.model.keep_uncond();
  Field d_before;
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1);
    Field denoised = run.denoise(x, from);
    Field d = (x - (is_cfg_pp ? run.model.uncond() : denoised)) / from;
    run.tell(i, x, denoised);
    if (to == 0) {
      x = denoised;
    } else {
      if (is_cfg_pp)
        x = denoised + d * to;
      else
        x = x + d * (to - from);
      if (i >= 1) x = x + beyond * (d - d_before) * (to - from);
    }
    d_before = std::move(d);
  }
  return x;
}

}  // namespace

Field gradient_estimation(Run& run, Field x) { return estimate(run, std::move(x), false); }
Field gradient_estimation_cfg_pp(Run& run, Field x) { return estimate(run, std::move(x), true); }

}  // namespace hearth::diffuse
