// Attention where every query sees every key, or every key up to its own place: encoders and diffusion blocks.
#pragma once
#include "core/device/ctx.h"

namespace hearth {

struct FullAttentionParams {
  float scale = 1;      // multiplies q·k
  bool causal = false;  // query i sees keys 0..i; needs as many keys as queries
};

/// softmax(scale q kᵀ) v per batch entry and head: q [B, N, heads, hd], k and v [B, M, heads, hd] f32, any strides
/// with a contiguous last dimension, M >= 1 -> [B, N, heads*hd]. Keys are folded in absolute blocks with a running
/// maximum, so working space is about 1 MiB a thread at most for any N and M (hd <= 512), and a query's bits depend
/// neither on the other queries nor on the number of threads. CPU only.
Tensor full_attention(Ctx& c, const Tensor& q, const Tensor& k, const Tensor& v, const FullAttentionParams& params);

}  // namespace hearth
