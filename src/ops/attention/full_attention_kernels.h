// The unit of full attention on the CPU: a block of queries of one head, walked over blocks of that head's keys. Blocks
// of keys start at multiples of full_key_block(), so a query's result depends on nothing but the query and the head.
#pragma once
#include <cstdint>

namespace hearth::cpu {

struct FullAttentionTask {
  const float *q, *k, *v;  // first token of the head
  int64_t q_stride, k_stride, v_stride;  // floats from token to token
  float* y;
  int64_t y_stride;
  int64_t first, n;  // queries [first, first + n)
  int64_t keys, head_dim;
  float scale;
  bool causal;
};

/// Queries and keys of a block: multiples of 48 and of 16 that keep a task within a second cache level.
constexpr int64_t full_query_block(int64_t head_dim) { return head_dim <= 80 ? 384 : head_dim <= 160 ? 192 : 144; }
constexpr int64_t full_key_block(int64_t head_dim) { return head_dim <= 160 ? 128 : 64; }
/// Queries whose scores are kept at a time; a multiple of 16 that divides the blocks.
inline constexpr int64_t kFullRows = 48;
/// Floats of working space for one task.
int64_t full_attention_floats(int64_t head_dim);

struct FullAttentionKernels {
  void (*attend)(const FullAttentionTask& task, float* space);
};
extern const FullAttentionKernels kFullAttentionPlain;

}  // namespace hearth::cpu
