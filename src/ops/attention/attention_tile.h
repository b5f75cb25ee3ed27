// The unit of CPU attention work: a tile of up to kMaxUnits (query row, head) pairs of one sequence that share one KV
// head, walked over that head's pages once. A unit's result depends on nothing but the unit: every kernel folds the
// pages in ascending order and inside a page adds tokens in ascending order, whatever the tile's other units are.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/tensor/dtype.h"

namespace hearth::cpu {

inline constexpr int kMaxUnits = 64;

struct Unit {
  const float* q;               // [head_dim]
  float* y;                     // [head_dim]
  int64_t begin, end;           // positions it attends
  float max, sum;               // running maximum of the scores, sum of the weights relative to it
};

/// Working space of one worker, carved from the op's scratch.
struct TileSpace {
  static constexpr int64_t kLanes = 16;
  static int64_t padded(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }
  static int64_t bytes(int64_t page_tokens, int64_t head_dim) {
    int64_t tokens = padded(page_tokens), dims = padded(head_dim);
    return 4 * (2 * dims * tokens + kMaxUnits * (tokens + dims));
  }
  TileSpace(std::byte* base, int64_t page_tokens, int64_t head_dim) {
    int64_t tokens = padded(page_tokens), dims = padded(head_dim);
    keys = reinterpret_cast<float*>(base);
    values = keys + dims * tokens;
    scores = values + dims * tokens;
    sums = scores + kMaxUnits * tokens;
  }
  float* keys;    // [head_dim, tokens]: a page of keys, transposed
  float* values;  // [tokens, dims]: a page of values
  float* scores;  // [units, tokens]: scores, then weights of a page
  float* sums;    // [units, dims]: running weighted sums of values
};

struct Tile {
  Unit* units;
  int n;
  const std::byte *k, *v;       // the KV head in page 0
  int64_t page_bytes;           // from a page to the next
  const int32_t* table;         // the sequence's pages
  DType dtype;
  int64_t page_tokens, head_dim;
  float scale, softcap;
};

/// Kernels of the attention family at one instruction set.
struct AttentionKernels {
  void (*tile)(const Tile& tile, const TileSpace& space);
  /// cos and sin [rotary_dim] of the angles position * frequency[i], laid out and signed for `rotate`.
  void (*angles)(float position, const float* frequency, int rotary_dim, bool interleaved, float* cos, float* sin);
  /// y[i] = x[i] cos[i] + partner(x, i) sin[i] for one head.
  void (*rotate)(const float* x, const float* cos, const float* sin, int rotary_dim, bool interleaved, float* y);
  /// Rounds n floats to nearest even.
  void (*round)(const float* from, int64_t n, DType dtype, void* to);
};
extern const AttentionKernels kAttentionPlain;

}  // namespace hearth::cpu
