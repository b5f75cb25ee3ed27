// Attention over paged keys and values, and what feeds it: rotary embedding and the append into pages.
//
// A page holds `page_tokens` consecutive positions of one sequence for all KV heads of one layer; memory order is
// [page, kv_head, token in page, head_dim], so one head's keys of a page are contiguous. A slot is
// page * page_tokens + token. Padding rows of a batch write to a scratch page and their results are never read.
#pragma once
#include <span>

#include "core/device/ctx.h"

namespace hearth {

struct RopeParams {
  int rotary_dim = 0;                // leading dims of a head that turn; the rest pass
  float base = 10000;
  bool interleaved = false;          // pairs (2i, 2i+1), GGUF's llama order; else (i, i + rotary_dim/2), NeoX
  Tensor freq_factors;               // [rotary_dim/2] f32 divisors of the frequencies (Llama 3 scaling), or empty
  float position_scale = 1;          // linear scaling: positions are multiplied by this
};

/// Rotates x [rows, heads, head_dim] f32 in the plane pairs by pos[row] * base^(-2i/rotary_dim) / freq_factors[i].
/// Angles in float32 from positions as float32, as the reference implementations do.
Tensor rope(Ctx& c, const Tensor& x, const Tensor& pos, const RopeParams& params);

/// Pages of one layer. k and v: [pages, kv_heads, page_tokens, head_dim], f16, bf16 or f32.
struct KvPages {
  Tensor k, v;
  int64_t page_tokens() const { return k.dim(2); }
  int64_t kv_heads() const { return k.dim(1); }
  int64_t head_dim() const { return k.dim(3); }
};

/// Writes k, v [rows, kv_heads, head_dim] f32 to slots [rows] i32, rounding to the pages' dtype.
void kv_append(Ctx& c, const KvPages& pages, const Tensor& k, const Tensor& v, const Tensor& slots);

/// Where each query row looks: row r attends positions 0..pos[r] of sequence seq[r], found through
/// page_table[seq[r], position / page_tokens]. All i32: pos [rows], seq [rows], page_table [seqs, max_pages].
struct AttentionIndex {
  Tensor pos, seq, page_table;
};

struct AttentionParams {
  float scale = 1;      // multiplies q·k
  int window = 0;       // > 0: only the last `window` positions, itself included
  float softcap = 0;    // > 0: scores become softcap * tanh(score / softcap)
};

/// softmax(scale q kᵀ) v, causal; q [rows, heads, head_dim] f32, heads a multiple of kv_heads -> [rows, heads *
/// head_dim]. Sums run over absolute blocks of one page in ascending order with a running maximum, so a row's bits do
/// not depend on the other rows of the batch, on chunking, or on which pages hold the positions.
Tensor attention(Ctx& c, const Tensor& q, const KvPages& pages, const AttentionIndex& index,
                 const AttentionParams& params);

}  // namespace hearth
