// Rotary embedding settings a model derives once from its configuration and weights.
#pragma once
#include "models/load/weights.h"
#include "models/lm/config.h"
#include "ops/attention/attention.h"

namespace hearth {

/// Rope of the full-attention layers: base, linear factor and Llama 3's frequency factors (from rope_freqs.weight in a
/// GGUF, computed from the configuration otherwise).
RopeParams bind_rope(Weights& w, const LmConfig& f);

/// Llama 3's divisor of each frequency, [head_dim/2]. Formula: transformers, modeling_rope_utils.py,
/// _compute_llama3_parameters.
std::vector<float> llama3_frequency_factors(const Llama3RopeScaling& scaling, float base, int head_dim);

}  // namespace hearth
