// What rope.cpp, kv_append.cpp and attention.cpp call after their checks. Inputs may have strided rows and heads; the
// last dimension is contiguous, and so are pages, index tensors and results.
#pragma once
#include "core/device/ctx.h"
#include "core/device/cuda.h"
#include "ops/attention/attention.h"

namespace hearth {

struct RopeArgs {
  View x, y;             // [rows, heads, head_dim] f32
  View pos;              // [rows] i32
  View freq_factors;     // [rotary_dim/2] f32; data is null when there are none
  View scratch;          // rope_scratch_bytes()
  int rotary_dim;
  float base;
  bool interleaved;
  float position_scale;
};

struct KvAppendArgs {
  View k_pages, v_pages;  // [pages, kv_heads, page_tokens, head_dim]
  View k, v;              // [rows, kv_heads, head_dim] f32
  View slots;             // [rows] i32
};

struct AttentionArgs {
  View q;                 // [rows, heads, head_dim] f32
  View y;                 // [rows, heads * head_dim] f32
  View k_pages, v_pages;  // [pages, kv_heads, page_tokens, head_dim], one dtype
  View pos, seq;          // [rows] i32; pos < 0 marks a row that looks at nothing and gets zeros
  View page_table;        // [seqs, max_pages] i32
  View scratch;           // attention_scratch_bytes()
  AttentionParams params;
};

/// Working space by what the step runs on (Caps::target), from shapes alone, so that Meta takes the same.
int64_t rope_scratch_bytes(const Caps& caps, int64_t rows, int rotary_dim);
int64_t attention_scratch_bytes(const Caps& caps, const Shape& q, const Shape& pages);

/// CUDA cuts what a row sees into at most kSplits chunks. For a batch of few rows (at most kSplitRows) each chunk is a
/// block of its own and leaves a partial [head_dim + 2] (sum of p v, maximum, sum of p) in scratch,
/// [rows, heads, kSplits, head_dim + 2] f32.
inline constexpr int64_t kSplits = 16, kSplitRows = 16;

}  // namespace hearth

namespace hearth::cpu {

void rope(const Ctx& c, const RopeArgs& args);
void kv_append(const Ctx& c, const KvAppendArgs& args);
void attention(const Ctx& c, const AttentionArgs& args);
int64_t attention_scratch_bytes(int threads, int64_t rows, const Shape& pages);

}  // namespace hearth::cpu

namespace hearth::cuda {

void rope(Stream stream, const RopeArgs& args);
void kv_append(Stream stream, const KvAppendArgs& args);
void attention(Stream stream, const AttentionArgs& args);

}  // namespace hearth::cuda
