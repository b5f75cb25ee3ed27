// The sinusoidal embedding of denoising steps.
#pragma once
#include "core/device/ctx.h"

namespace hearth {

/// t [B] f32 -> [B, dim]: cos then sin of t * max_period^(-i / (dim/2)), i < dim/2; an odd dim ends in a zero.
/// Frequencies and angles are float32, each step rounded as torch rounds it. CPU only.
Tensor timestep_embedding(Ctx& c, const Tensor& t, int dim, float max_period = 10000);

}  // namespace hearth
