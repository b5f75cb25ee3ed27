// y = x Wᵀ + b. Accumulation is float32; quantised weights on the CPU multiply activations rounded to int8 in blocks of
// 32 (as ggml's q8). Each output element is summed in one fixed order whatever the number of rows, so a token's result
// is the same bits alone and in a batch.
#pragma once
#include <span>

#include "core/device/ctx.h"
#include "core/tensor/weight.h"

namespace hearth {

/// x [rows, in] f32, w [out, in] any scheme -> [rows, out] f32. bias [out] f32 or empty.
/// Error{kUnsupported} listing what exists when no kernel takes (device, scheme).
Tensor linear(Ctx& c, const Tensor& x, const Weight& w, const Tensor& bias = {});

/// outs[i] = linear(c, x, *ws[i], biases[i]) for several weights that read the same x: x is rounded once and the
/// products share one parallel region. Defined by, and tested against, linear().
void linear_each(Ctx& c, const Tensor& x, std::span<const Weight* const> ws, std::span<const Tensor> biases,
                 std::span<Tensor> outs);

}  // namespace hearth
