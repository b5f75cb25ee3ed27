// Random weights of any type as a file holds them, for tests and benchmarks: every bit of the codes is random, scales
// are of one order of magnitude and never infinite.
#pragma once
#include <cstddef>
#include <cstring>
#include <random>
#include <vector>

#include "ops/linear/layout.h"
#include "ops/quant/blocks.h"

namespace hearth {

namespace detail {

/// Byte offsets of the halves of a block.
inline std::vector<size_t> half_offsets(DType type) {
  using namespace quant;
  switch (type) {
    case DType::kQ4_0: case DType::kQ5_0: case DType::kQ8_0: case DType::kQ8_1: case DType::kIQ1_S:
    case DType::kIQ2_XXS: case DType::kIQ2_XS: case DType::kIQ2_S: case DType::kIQ3_XXS: case DType::kIQ3_S:
    case DType::kIQ4_NL: case DType::kIQ4_XS: case DType::kQ1_0: case DType::kQ2_0: return {0};
    case DType::kQ4_1: case DType::kQ5_1: case DType::kQ4_K: case DType::kQ5_K: return {0, 2};
    case DType::kQ2_K: return {offsetof(BlockQ2_K, d), offsetof(BlockQ2_K, dmin)};
    case DType::kQ3_K: return {offsetof(BlockQ3_K, d)};
    case DType::kQ6_K: return {offsetof(BlockQ6_K, d)};
    case DType::kTQ1_0: return {offsetof(BlockTQ1_0, d)};
    case DType::kTQ2_0: return {offsetof(BlockTQ2_0, d)};
    default: return {};
  }
}

}  // namespace detail

/// Rows [rows, in] of `type`; the same seed gives the same bytes.
inline std::vector<std::byte> random_rows(DType type, int64_t rows, int64_t in, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 0.05f);
  std::vector<std::byte> bytes(static_cast<size_t>(rows * row_bytes(type, in)));
  auto put = [&](size_t at, auto value) { std::memcpy(bytes.data() + at, &value, sizeof(value)); };
  auto scale = [&] { return 0.002f + 0.01f * static_cast<float>(random() % 1000) / 1000.0f; };
  const auto size = static_cast<size_t>(info(type).block_bytes);
  for (size_t at = 0; at < bytes.size(); at += size) {
    switch (type) {
      case DType::kF32: put(at, normal(random)); continue;
      case DType::kF16: put(at, f32_to_f16(normal(random))); continue;
      case DType::kBF16: put(at, f32_to_bf16(normal(random))); continue;
      case DType::kF8E4M3:
      case DType::kF8E5M2: put(at, static_cast<uint8_t>((random() & 0x80) | (0x20 + random() % 0x20))); continue;
      default: break;
    }
    for (size_t i = 0; i < size; ++i) put(at + i, static_cast<uint8_t>(random()));
    for (size_t offset : detail::half_offsets(type)) put(at + offset, f32_to_f16(scale()));
    if (type == DType::kQ8_K) put(at, scale());
    if (type == DType::kMXFP4) put(at, static_cast<uint8_t>(118 + random() % 6));
    if (type == DType::kNVFP4) {
      for (size_t i = 0; i < 4; ++i) put(at + i, static_cast<uint8_t>(random() % 0x50));
    }
    if (type == DType::kIQ1_M) {  // the half is spread over the top nibbles of four words
      uint16_t d = f32_to_f16(scale());
      for (size_t i = 0; i < 4; ++i) {
        auto& top = reinterpret_cast<uint8_t&>(bytes[at + offsetof(quant::BlockIQ1_M, scales) + 2 * i + 1]);
        top = static_cast<uint8_t>((top & 15) | (d >> 4 * i & 15) << 4);
      }
    }
  }
  return bytes;
}

/// A Weight in `layout` out of file rows; `allocate` gives a u8 tensor of so many bytes.
template <class Allocate>
Weight weight_of(DType type, Layout layout, Shape shape, const std::vector<std::byte>& file, Allocate allocate) {
  Weight w{shape, type, layout, allocate(packed_bytes(type, layout, shape))};
  if (w.data.raw()) pack_rows(type, layout, shape, 0, shape[0], file.data(), w.data.raw());
  return w;
}

}  // namespace hearth
