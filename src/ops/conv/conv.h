// Convolution of feature maps [B, H, W, C]: float32 in and out, weights [O, kh, kw, I] of a float scheme.
#pragma once
#include "core/device/ctx.h"
#include "core/tensor/weight.h"

namespace hearth {

struct ConvParams {
  int stride = 1;
  int top = 0, left = 0, bottom = 0, right = 0;  // rows and columns of zeros around x
  int upsample = 1;  // 2: reads x as upsample_nearest2(x) would be, without making it
};

/// x [B, H, W, I] f32, w [O, kh, kw, I] of scheme f32, f16, bf16 or f8, packed as the matrix [O, kh*kw*I]
/// -> [B, H', W', O] with H' = (upsample*H + top + bottom - kh) / stride + 1. bias [O] f32 or empty. Every output is
/// one sum over (ky, kx, i) ascending, then the bias, whatever the size of the map or the number of threads. Patches
/// are gathered in blocks of at most 512 KiB a thread. CPU only.
Tensor conv2d(Ctx& c, const Tensor& x, const Weight& w, const Tensor& bias, const ConvParams& params);

}  // namespace hearth
