// What sampler nodes share: a request to the engine from the values that arrive.
#pragma once
#include "workflow/nodes/common.h"

namespace hearth::workflow {

// What many nodes ask for.
InputSpec steps_input(int64_t value, int64_t max = 10000);
InputSpec cfg_input(std::string_view name);
InputSpec denoise_input();

/// CFG guidance of a node's model, positive, negative and cfg inputs.
diffuse::Guider cfg_guider_in(const NodeCall& call);

/// Samples and gives the latent back with new samples; without sigmas to walk, as it came. Mask and batch members stay.
struct SampledLatents {
  diffuse::Latent output, denoised;
};
SampledLatents sampled(const NodeCall& call, diffuse::SampleRequest request);

}  // namespace hearth::workflow
