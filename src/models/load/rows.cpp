#include "models/load/rows.h"

#include <cstring>

#include <fmt/format.h>

#include "core/base/error.h"
#include "ops/quant/encode.h"

namespace hearth {
namespace {

template <class T>
void transpose(const std::byte* from, std::byte* to, int64_t rows, int64_t columns) {
  const auto* in = reinterpret_cast<const T*>(from);
  auto* out = reinterpret_cast<T*>(to);
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < columns; ++c) out[c * rows + r] = in[r * columns + c];
  }
}

void transpose_elements(DType type, const std::byte* from, std::byte* to, int64_t rows, int64_t columns) {
  switch (info(type).block_bytes) {
    case 1: return transpose<uint8_t>(from, to, rows, columns);
    case 2: return transpose<uint16_t>(from, to, rows, columns);
    case 4: return transpose<uint32_t>(from, to, rows, columns);
    case 8: return transpose<uint64_t>(from, to, rows, columns);
    default: throw Error(Code::kUnsupported, fmt::format("a tensor of {} cannot be transposed", name(type)));
  }
}

}  // namespace

Shape matrix_of(const Weight& weight) { return {weight.out(), weight.shape.numel() / weight.out()}; }

std::vector<std::byte> transposed(DType type, std::span<const std::byte> matrix, int64_t rows, int64_t columns) {
  if (info(type).is_block)
    throw Error(Code::kUnsupported, fmt::format("a tensor of {} cannot be transposed", name(type)));
  std::vector<std::byte> out(matrix.size());
  transpose_elements(type, matrix.data(), out.data(), rows, columns);
  return out;
}

std::vector<std::byte> channels_last(DType type, std::span<const std::byte> kernels, int64_t n_rows, int64_t channels,
                                     int64_t taps) {
  std::vector<std::byte> out(kernels.size());
  const int64_t row = row_bytes(type, channels * taps);
  for (int64_t r = 0; r < n_rows; ++r) {
    transpose_elements(type, kernels.data() + r * row, out.data() + r * row, channels, taps);
  }
  return out;
}

std::vector<std::byte> encoded(DType type, std::span<const float> values) {
  if (!quant::can_encode(type)) {
    throw Error(Code::kUnsupported, fmt::format("weights cannot be made {}; there are f32, f16 and bf16", name(type)));
  }
  std::vector<std::byte> out(static_cast<size_t>(row_bytes(type, std::ssize(values))));
  quant::encode_row(type, values.data(), out.data(), std::ssize(values));
  return out;
}

}  // namespace hearth
