// The kernels in portable C++: what the vector kernels are tested against, and what other architectures run.
#include <cmath>
#include <cstring>

#include "ops/linear/cpu_kernels.h"

namespace hearth::cpu {
namespace {

constexpr int kRows = rows16::kRows;

void quantize_block(const float* x, XBlock& out) {
  float largest = 0;
  for (int i = 0; i < 32; ++i) largest = std::fmax(largest, std::fabs(x[i]));
  out.d = largest * (1.0f / 127.0f);
  float inverse = largest > 0 ? 127.0f / largest : 0.0f;
  for (int half = 0; half < 2; ++half) {
    int sum = 0;
    for (int i = 16 * half; i < 16 * half + 16; ++i) {
      int q = static_cast<int>(std::nearbyint(x[i] * inverse));
      out.q[i] = static_cast<int8_t>(q);
      sum += q;
    }
    out.minus_half_sum[half] = -sum;
    out.d_half_sum[half] = out.d * static_cast<float>(sum);
  }
  out.minus_sum = out.minus_half_sum[0] + out.minus_half_sum[1];
  out.d_sum = out.d * static_cast<float>(-out.minus_sum);
  out.unused = 0;
}

void quantize(const float* x, int64_t n, XBlock* out) {
  for (int64_t i = 0; i < n; i += 32) quantize_block(x + i, out[i / 32]);
}

// Through rows: the layout's own unpacking is written for one row.
void expand(DType scheme, const std::byte* tile, const rows16::Chunk& at, Panel& panel) {
  rows16::expand_chunk(scheme, tile, at, panel.codes, panel.scale, panel.min);
}

void interleave(const RowCodes* rows, Panel& panel) {
  const int8_t* levels = panel.coding.levels;
  int64_t n_scales = panel.blocks * 32 / panel.coding.columns;
  for (int r = 0; r < kRows; ++r) {
    for (int64_t q = 0; q < panel.blocks * 8; ++q) {
      uint8_t* to = panel.codes + (q * kRows + r) * 4;
      std::memcpy(to, rows[r].codes + q * 4, 4);
      int signs = panel.coding.has_signs ? rows[r].signs[q / 2] >> q % 2 * 4 : 0;
      for (int i = 0; i < 4; ++i) {
        if (levels) to[i] = static_cast<uint8_t>(levels[to[i]]);
        if ((signs >> i & 1) != 0) to[i] = static_cast<uint8_t>(-to[i]);
      }
    }
    for (int64_t s = 0; s < n_scales; ++s) panel.scale[s * kRows + r] = rows[r].scale[s];
    for (int64_t s = 0; panel.coding.has_min && s < n_scales; ++s) panel.min[s * kRows + r] = rows[r].min[s];
  }
}

// Sum of code * q over the columns of one scale, for one weight row.
int dot_codes(const Panel& panel, const uint8_t* codes, const int8_t* q, int columns) {
  int sum = 0;
  for (int i = 0; i < columns; ++i) {
    uint8_t code = codes[i / 4 * 64 + i % 4];
    sum += (panel.coding.is_signed ? static_cast<int8_t>(code) : code - panel.coding.zero) * q[i];
  }
  return sum;
}

void dot_tile(const Panel& panel, const XBlock* x, float* acc) {
  const int columns = panel.coding.columns, per_block = 32 / columns;
  for (int64_t s = 0; s < panel.blocks * per_block; ++s) {
    const XBlock& block = x[s / per_block];
    int at = static_cast<int>(s % per_block) * columns;
    float d_sum = per_block == 1 ? block.d_sum : block.d_half_sum[s % 2];
    for (int r = 0; r < kRows; ++r) {
      int sum = dot_codes(panel, panel.codes + (s * columns / 4 * kRows + r) * 4, block.q + at, columns);
      acc[r] += static_cast<float>(sum) * (panel.scale[s * kRows + r] * block.d);
      if (panel.coding.has_min) acc[r] += panel.min[s * kRows + r] * d_sum;
    }
  }
}

void dot(const Panel* panels, const XBlock* x, int64_t x_stride, int64_t n_rows, float* acc) {
  for (int64_t row = 0; row < n_rows; ++row) {
    for (int t = 0; t < kTiles; ++t) dot_tile(panels[t], x + row * x_stride, acc + row * kPanelRows + t * kRows);
  }
}

void expand_float(DType scheme, const std::byte* chunk, int64_t columns, float* w) {
  for (int64_t i = 0; i < columns * kRows; ++i) {
    float& to = w[i];
    uint16_t half;
    switch (scheme) {
      case DType::kF16: std::memcpy(&half, chunk + 2 * i, 2), to = f16_to_f32(half); break;
      case DType::kF8E4M3: to = f8e4m3_to_f32(static_cast<uint8_t>(chunk[i])); break;
      case DType::kF8E5M2: to = f8e5m2_to_f32(static_cast<uint8_t>(chunk[i])); break;
      case DType::kBF16: std::memcpy(&half, chunk + 2 * i, 2), to = bf16_to_f32(half); break;
      default: std::memcpy(&to, chunk + 4 * i, 4);
    }
  }
}

}  // namespace

constinit const LinearKernels kLinearPlain = {quantize, expand, read_rows, interleave, dot, expand_float};

}  // namespace hearth::cpu
