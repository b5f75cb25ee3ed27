#include "models/blocks/rope.h"

#include <cmath>

namespace hearth {

std::vector<float> llama3_frequency_factors(const Llama3RopeScaling& scaling, float base, int head_dim) {
  constexpr double kTwoPi = 6.283185307179586;
  std::vector<float> factors(head_dim / 2, 1.0f);
  const double longest = scaling.original_context / scaling.low_freq_factor;
  const double shortest = scaling.original_context / scaling.high_freq_factor;
  for (int i = 0; i < head_dim / 2; ++i) {
    double wavelength = kTwoPi * std::pow(static_cast<double>(base), 2.0 * i / head_dim);
    if (wavelength > longest) {
      factors[i] = scaling.factor;
    } else if (wavelength >= shortest) {
      double smooth = (scaling.original_context / wavelength - scaling.low_freq_factor) /
                      (scaling.high_freq_factor - scaling.low_freq_factor);
      factors[i] = static_cast<float>(1 / ((1 - smooth) / scaling.factor + smooth));
    }
  }
  return factors;
}

RopeParams bind_rope(Weights& w, const LmConfig& f) {
  RopeParams rope{.rotary_dim = f.head_dim,
                  .base = f.rope_base,
                  .interleaved = f.rope_interleaved,
                  .freq_factors = {},
                  .position_scale = 1 / f.rope_linear_factor};
  if (w.has("rope_freqs.weight")) {
    rope.freq_factors = w.vector("rope_freqs.weight", f.head_dim / 2);
  } else if (f.rope_llama3.factor > 0) {
    rope.freq_factors = w.computed(llama3_frequency_factors(f.rope_llama3, f.rope_base, f.head_dim));
  }
  return rope;
}

}  // namespace hearth
