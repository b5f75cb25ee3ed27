// CFG++ Euler with a quarter of second order Adams-Bashforth in each step, a slope that leans on the one before, and
// the guess extrapolated to a level of 0 at the end (ComfyUI 0.35's cfgpp_ud10_ab).
#include "runtime/diffuse/sampling/samplers/families.h"

namespace hearth::diffuse {
namespace {

constexpr float kHistoryWeight = 0.25f;       // of the Adams-Bashforth step beside Euler's
constexpr float kSlopeHistoryWeight = 0.1f;   // of the slope's change

/// How much of a level's number is the clean latent's scale.
float alpha(float sigma, const ModelSampling& sampling) {
  return sigma == 0 ? 1.0f : sigma * f32::exp(half_log_snr(sigma, sampling));
}

}  // namespace

Field cfgpp_ud10_ab(Run& run, Field x) {
  run.model.keep_uncond();
  Field slope_before, rate_before, guess_before;
  for (int64_t i = 0; i < run.steps(); ++i) {
    const float from = run.sigma(i), to = run.sigma(i + 1), dt = to - from;
    Field denoised = run.denoise(x, from);
    run.tell(i, x, denoised);
    const Field& uncond = run.model.has_uncond() ? run.model.uncond() : denoised;
    Field slope = (x - alpha(from, run.sampling) * uncond) / from, used = slope;
    if (i > 0) used = slope + kSlopeHistoryWeight * (dt / (from - run.sigma(i - 1))) * (slope - slope_before);
    Field step = alpha(to, run.sampling) * denoised + to * used - x, rate = step / dt;
    if (i > 0) {
      const float newest = static_cast<float>(adams_coefficient(run.sigmas, 2, i, 0));
      const float older = static_cast<float>(adams_coefficient(run.sigmas, 2, i, 1));
      Field history = newest * rate + older * rate_before;
      step = step + kHistoryWeight * (history - step);
    }
    x = x + step;
    if (to == 0 && i > 0) {
      Field trend = (denoised - guess_before) / (from - run.sigma(i - 1));
      x = denoised - from * trend;
    }
    slope_before = std::move(slope);
    rate_before = std::move(rate);
    guess_before = std::move(denoised);
  }
  return x;
}

}  // namespace hearth::diffuse
