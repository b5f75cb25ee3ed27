// Pieces the run decoders share. Everything here and in runs_*.h is constexpr and free of library calls and lookup
// arrays, so that the same text compiles for the CPU and, through nvcc's relaxed constexpr, inside CUDA kernels.
#pragma once
#include <cstdint>

namespace hearth::quant {

/// A half as a float; multiplying by 2^112 moves the exponent and normalises subnormals without rounding.
constexpr float half_value(uint16_t bits) {
  uint32_t magnitude = bits & 0x7fffu, sign = (bits & 0x8000u) << 16;
  float value = __builtin_bit_cast(float, magnitude << 13) * 0x1p112f;
  uint32_t pattern = magnitude < 0x7c00 ? __builtin_bit_cast(uint32_t, value) : 0x7f800000u | magnitude << 13;
  return __builtin_bit_cast(float, sign | pattern);
}

/// Element i of a plane of nibbles whose low halves hold the first `half` elements.
constexpr int nibble(const uint8_t* plane, int half, int i) { return i < half ? plane[i] & 15 : plane[i - half] >> 4; }

/// Byte i of sixteen signed ones, given as two words.
constexpr int byte_of(uint64_t low, uint64_t high, int i) {
  return static_cast<int8_t>((i < 8 ? low : high) >> 8 * (i & 7) & 255);
}

}  // namespace hearth::quant
