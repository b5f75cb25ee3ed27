// The attention family one element at a time: the definition of its ops and the kernels of CpuIsa::kPlain.
#include <cmath>
#include <cstring>
#include <limits>

#include "core/tensor/tensor.h"
#include "ops/attention/attention_tile.h"

namespace hearth::cpu {
namespace {

void read_row(const std::byte* from, DType dtype, int64_t n, float* to) {
  for (int64_t i = 0; i < n; ++i) {
    switch (dtype) {
      case DType::kF16: to[i] = f16_to_f32(reinterpret_cast<const uint16_t*>(from)[i]); break;
      case DType::kBF16: to[i] = bf16_to_f32(reinterpret_cast<const uint16_t*>(from)[i]); break;
      default: to[i] = reinterpret_cast<const float*>(from)[i]; break;
    }
  }
}

float score_of(const Tile& tile, const Unit& unit, const float* key) {
  float dot = 0;
  for (int64_t d = 0; d < tile.head_dim; ++d) dot += unit.q[d] * key[d];
  float score = dot * tile.scale;
  return tile.softcap > 0 ? tile.softcap * std::tanh(score / tile.softcap) : score;
}

// Tokens [begin, end) of the page that starts at `k` and `v`.
void fold_page(const Tile& tile, Unit& unit, const std::byte* k, const std::byte* v, int64_t begin, int64_t end,
               const TileSpace& space) {
  int64_t row = row_bytes(tile.dtype, tile.head_dim);
  float highest = unit.max;
  for (int64_t t = begin; t < end; ++t) {
    read_row(k + t * row, tile.dtype, tile.head_dim, space.keys);
    space.scores[t] = score_of(tile, unit, space.keys);
    highest = std::max(highest, space.scores[t]);
  }
  float shrink = std::exp(unit.max - highest);
  for (int64_t d = 0; d < tile.head_dim; ++d) unit.y[d] *= shrink;
  unit.sum *= shrink;
  unit.max = highest;
  for (int64_t t = begin; t < end; ++t) {
    float weight = std::exp(space.scores[t] - highest);
    unit.sum += weight;
    read_row(v + t * row, tile.dtype, tile.head_dim, space.values);
    for (int64_t d = 0; d < tile.head_dim; ++d) unit.y[d] += weight * space.values[d];
  }
}

void attend_unit(const Tile& tile, Unit& unit, const TileSpace& space) {
  std::memset(unit.y, 0, 4 * static_cast<size_t>(tile.head_dim));
  for (int64_t position = unit.begin; position < unit.end;) {
    int64_t page = position / tile.page_tokens, first = page * tile.page_tokens;
    int64_t end = std::min(unit.end, first + tile.page_tokens);
    int64_t at = tile.table[page] * tile.page_bytes;
    fold_page(tile, unit, tile.k + at, tile.v + at, position - first, end - first, space);
    position = end;
  }
  for (int64_t d = 0; d < tile.head_dim; ++d) unit.y[d] /= unit.sum;
}

void attend_tile(const Tile& tile, const TileSpace& space) {
  for (int u = 0; u < tile.n; ++u) attend_unit(tile, tile.units[u], space);
}

void angles(float position, const float* frequency, int rotary_dim, bool interleaved, float* cos, float* sin) {
  for (int i = 0; i < rotary_dim / 2; ++i) {
    double angle = position * frequency[i];  // rounded to float32 first, then taken as exact
    int low = interleaved ? 2 * i : i, high = interleaved ? 2 * i + 1 : i + rotary_dim / 2;
    cos[low] = cos[high] = static_cast<float>(std::cos(angle));
    sin[high] = static_cast<float>(std::sin(angle));
    sin[low] = -sin[high];
  }
}

void rotate(const float* x, const float* cos, const float* sin, int rotary_dim, bool interleaved, float* y) {
  int half = rotary_dim / 2;
  for (int i = 0; i < rotary_dim; ++i) {
    int partner = interleaved ? i ^ 1 : (i < half ? i + half : i - half);
    y[i] = x[i] * cos[i] + x[partner] * sin[i];
  }
}

void round_run(const float* from, int64_t n, DType dtype, void* to) {
  for (int64_t i = 0; i < n; ++i) {
    switch (dtype) {
      case DType::kF16: static_cast<uint16_t*>(to)[i] = f32_to_f16(from[i]); break;
      case DType::kBF16: static_cast<uint16_t*>(to)[i] = f32_to_bf16(from[i]); break;
      default: static_cast<float*>(to)[i] = from[i]; break;
    }
  }
}

}  // namespace

constinit const AttentionKernels kAttentionPlain{attend_tile, angles, rotate, round_run};

}  // namespace hearth::cpu
