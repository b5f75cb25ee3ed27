// Normalisations over the last dimension; float32 in and out, sums in float32 in one fixed order.
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

}  // namespace hearth
