// Joining tensors.
#pragma once
#include "core/device/ctx.h"

namespace hearth {

/// a [..., Ca] and b [..., Cb], contiguous f32, equal in all other dimensions -> [..., Ca + Cb]. CPU only.
Tensor concat_channels(Ctx& c, const Tensor& a, const Tensor& b);

}  // namespace hearth
