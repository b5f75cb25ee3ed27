// Resizing of feature maps inside models. Pictures are resized in ops/resample.
#pragma once
#include "core/device/ctx.h"

namespace hearth {

/// Every pixel of x [B, H, W, C] f32 becomes 2 x 2 -> [B, 2H, 2W, C]. A convolution that follows reads the small map
/// itself with ConvParams::upsample. CPU only.
Tensor upsample_nearest2(Ctx& c, const Tensor& x);

}  // namespace hearth
