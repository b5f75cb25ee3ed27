// Normalisations; float32 in and out, sums in one fixed order that shapes alone decide.
#pragma once
#include "core/device/ctx.h"

namespace hearth {

/// y = x / sqrt(mean(x²) + eps) * w over the last dimension; x [..., dim] f32 (rows may be strided), w [dim] f32.
Tensor rms_norm(Ctx& c, const Tensor& x, const Tensor& w, float eps);

/// sum = a + b, y = rms_norm(sum, w): returns both. Defined by, and tested against, add() then rms_norm().
struct AddNorm {
  Tensor sum, normed;
};
AddNorm add_rms_norm(Ctx& c, const Tensor& a, const Tensor& b, const Tensor& w, float eps);

/// y = (x - mean(x)) / sqrt(var(x) + eps) * w + b over the last dimension, variance over dim; x [..., dim] f32 (rows
/// may be strided), w and b [dim] f32, either may be empty (1 and 0). CPU only.
Tensor layer_norm(Ctx& c, const Tensor& x, const Tensor& w, const Tensor& b, float eps);

/// x [B, H, W, C] or [B, N, C] f32, contiguous; each run of C/groups channels of a batch entry is normalised over all
/// its pixels, then scaled by w and shifted by b [C]. With `silu` the result is silu(y), defined by, and tested
/// against, silu(). CPU only.
Tensor group_norm(Ctx& c, const Tensor& x, const Tensor& w, const Tensor& b, int groups, float eps, bool silu = false);

}  // namespace hearth
