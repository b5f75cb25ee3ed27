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

// CPU only from here on.

/// x / (1 + exp(-x)).
Tensor silu(Ctx& c, const Tensor& x);
/// 0.5 x (1 + erf(x / sqrt(2))).
Tensor gelu(Ctx& c, const Tensor& x);
/// x / (1 + exp(-1.702 x)).
Tensor quick_gelu(Ctx& c, const Tensor& x);
Tensor relu(Ctx& c, const Tensor& x);
/// 3 tanh(x / 3).
Tensor tanh_clamp(Ctx& c, const Tensor& x);
/// gelu(gate) * up with the erf form. gate and up may have strided rows (two halves of one projection).
Tensor geglu_erf(Ctx& c, const Tensor& gate, const Tensor& up);
/// x [B, ..., C] + b [B, C], one row of b for all that lies between.
Tensor add_row(Ctx& c, const Tensor& x, const Tensor& b);

/// y += x in y's own memory, for maps too large to keep twice. Whoever else holds y sees it change.
void add_into(Ctx& c, const Tensor& x, const Tensor& y);

}  // namespace hearth
