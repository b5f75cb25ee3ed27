// Attention where every query sees every key, or every key up to its own place: encoders and diffusion blocks.
#pragma once
#include <span>
#include <string_view>

#include "core/device/ctx.h"

namespace hearth {

struct FullAttentionParams {
  float scale = 1;      // multiplies q·k
  bool causal = false;  // query i sees keys 0..i; needs as many keys as queries
};

/// softmax(scale q kᵀ) v per batch entry and head: q [B, N, heads, hd], k and v [B, M, heads, hd] f32, any strides
/// with a contiguous last dimension, M >= 1 -> [B, N, heads*hd]. Keys are folded in absolute blocks with a running
/// maximum, so working space is about 1 MiB a thread at most for any N and M (hd <= 512), and a query's bits depend
/// neither on the other queries nor on the number of threads. CPU only. Ctx::attention chooses how:
///   tiled  blocks of keys under a running maximum, vector instructions; what auto takes
///   exact  plain loops with sums in double: many times slower, to judge others by
Tensor full_attention(Ctx& c, const Tensor& q, const Tensor& k, const Tensor& v, const FullAttentionParams& params);

/// A name for AttentionKind, as configurations write it, and whether a device has it.
struct AttentionName {
  std::string_view name;
  AttentionKind kind;
};
/// What `device` can be asked for, "auto" first.
std::span<const AttentionName> attention_names(DeviceKind device);
/// kUnsupported naming those there are when `device` has none of that name.
Result<AttentionKind> attention_kind(DeviceKind device, std::string_view name);

}  // namespace hearth
