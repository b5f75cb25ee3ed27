// E2M1 elements. Values are doubled to be integers, so the scales are halved.
#pragma once
#include "ops/quant/bits.h"
#include "ops/quant/blocks.h"

namespace hearth::quant {

/// Twice an E2M1 value: 0, 1, 2, 3, 4, 6, 8, 12 with a sign. A negative zero counts as zero.
constexpr int twice_e2m1(int bits) {
  int magnitude = 0xC8643210u >> 4 * (bits & 7) & 15;
  return (bits & 8) != 0 ? -magnitude : magnitude;
}

/// Half of an E8M0 scale: 2^(bits - 128), subnormal for the two smallest.
constexpr float half_e8m0(uint8_t bits) {
  uint32_t pattern = bits < 2 ? 0x00200000u << bits : (bits - 1u) << 23;
  return __builtin_bit_cast(float, pattern);
}

/// Half of an unsigned E4M3 scale. The sign bit is ignored and the NaN pattern counts as zero, as the format's
/// reference implementation has it.
constexpr float half_ue4m3(uint8_t bits) {
  if (bits == 0x7f) return 0;
  uint32_t exponent = bits >> 3 & 15, mantissa = bits & 7;
  if (exponent == 0) return static_cast<float>(mantissa) * 0x1p-10f;
  return __builtin_bit_cast(float, (exponent + 127 - 8) << 23 | mantissa << 20);
}

constexpr void decode_run(const BlockMXFP4& block, int run, float* out) {
  float d = half_e8m0(block.e);
  for (int j = 0; j < 8; ++j) out[j] = static_cast<float>(twice_e2m1(nibble(block.qs, 16, 8 * run + j))) * d;
}

constexpr void decode_run(const BlockNVFP4& block, int run, float* out) {
  float d = half_ue4m3(block.d[run / 2]);  // sub-blocks of 16
  for (int j = 0; j < 8; ++j) {
    int pair = block.qs[run / 2 * 8 + j];
    out[j] = static_cast<float>(twice_e2m1(run % 2 == 0 ? pair & 15 : pair >> 4)) * d;
  }
}

}  // namespace hearth::quant
