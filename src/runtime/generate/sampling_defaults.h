// What a model's own files recommend for sampling: generation_config.json beside Hugging Face weights, the
// general.sampling.* metadata of a GGUF file. They stand behind what a request and a profile say.
#pragma once
#include "models/load/checkpoint.h"
#include "runtime/request.h"

namespace hearth {

/// Only what the files say; the rest stays unset. A value of the wrong type or out of range is left out with a warning:
/// a recommendation nobody can follow is no reason to refuse the model.
SamplingOptions sampling_defaults(const Checkpoint& checkpoint);

/// `first`, and where it says nothing, `then`. logit_bias is first's.
SamplingOptions or_else(SamplingOptions first, const SamplingOptions& then);

}  // namespace hearth
