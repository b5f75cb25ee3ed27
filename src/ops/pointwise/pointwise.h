// Elementwise ops on contiguous float32 tensors of equal shape.
#pragma once
#include "core/device/ctx.h"

namespace hearth {

Tensor add(Ctx& c, const Tensor& a, const Tensor& b);
Tensor scale(Ctx& c, const Tensor& x, float factor);
/// silu(gate) * up, silu(x) = x / (1 + exp(-x)).
Tensor swiglu(Ctx& c, const Tensor& gate, const Tensor& up);
/// gelu_tanh(gate) * up, gelu_tanh(x) = 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x³))).
Tensor geglu(Ctx& c, const Tensor& gate, const Tensor& up);
/// limit * tanh(x / limit).
Tensor softcap(Ctx& c, const Tensor& x, float limit);

}  // namespace hearth
