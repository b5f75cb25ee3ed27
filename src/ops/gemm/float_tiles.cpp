#include "ops/gemm/float_tiles.h"

#include <algorithm>
#include <array>

#include "ops/gemm/gemm.h"
#include "ops/quant/decode.h"

namespace hearth::cpu {
namespace {

constexpr int64_t kRows = rows16::kRows;

const std::array<float, 256>& f8_values(DType scheme) {
  auto table = [](DType type) {
    std::array<float, 256> values;
    for (int i = 0; i < 256; ++i) {
      auto bits = static_cast<uint8_t>(i);
      values[static_cast<size_t>(i)] = type == DType::kF8E4M3 ? f8e4m3_to_f32(bits) : f8e5m2_to_f32(bits);
    }
    return values;
  };
  static const std::array<float, 256> e4m3 = table(DType::kF8E4M3), e5m2 = table(DType::kF8E5M2);
  return scheme == DType::kF8E4M3 ? e4m3 : e5m2;
}

// Memory is read one tile after the other: a chunk asks for the tile's next one.
void prefetch(const std::byte* from, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + bytes + i, 0, 2);
}

void transpose_file_rows(const Matrix& w, int64_t tile, int64_t begin, int64_t columns, float* panel) {
  const int64_t size = info(w.scheme).block_bytes, row_size = w.in * size;
  const int64_t n = std::min(kRows, w.out - tile * kRows);
  const std::byte* first = w.data + tile * kRows * row_size + begin * size;
  const float* f8 = size == 1 ? f8_values(w.scheme).data() : nullptr;
  float row[kGemmColumns];
  for (int64_t r = 0; r < kRows; ++r) {
    const std::byte* bytes = first + std::min(r, n - 1) * row_size;
    if (f8) {
      for (int64_t i = 0; i < columns; ++i) panel[i * kRows + r] = f8[static_cast<uint8_t>(bytes[i])];
    } else {
      quant::decode_row(w.scheme, bytes, row, columns);
      for (int64_t i = 0; i < columns; ++i) panel[i * kRows + r] = row[i];
    }
  }
}

}  // namespace

bool is_float_scheme(DType scheme) {
  return scheme == DType::kF32 || scheme == DType::kF16 || scheme == DType::kBF16 || scheme == DType::kF8E4M3 ||
         scheme == DType::kF8E5M2;
}

const float* float_tile(const LinearKernels& kernels, const Matrix& w, int64_t tile, int64_t begin, int64_t columns,
                        float* panel) {
  if (w.layout == Layout::kFile) {
    transpose_file_rows(w, tile, begin, columns, panel);
    return panel;
  }
  const int64_t size = info(w.scheme).block_bytes;
  const std::byte* from = w.data + (tile * w.in + begin) * kRows * size;
  if (w.scheme == DType::kF32) return reinterpret_cast<const float*>(from);
  prefetch(from, columns * kRows * size);
  kernels.expand_float(w.scheme, from, columns, panel);
  return panel;
}

}  // namespace hearth::cpu
