// E2M1 elements. Values are doubled to be integers, so the scales are halved.
#include "ops/quant/decode_block.h"

namespace hearth::quant {
namespace {

constexpr int8_t kTwiceE2M1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/// Half of an E8M0 scale: 2^(bits - 128), subnormal for the two smallest.
float half_e8m0(uint8_t bits) {
  uint32_t pattern = bits < 2 ? 0x00200000u << bits : (bits - 1u) << 23;
  return __builtin_bit_cast(float, pattern);
}

/// Half of an unsigned E4M3 scale. The sign bit is ignored and the NaN pattern counts as zero, as the format's
/// reference implementation has it.
float half_ue4m3(uint8_t bits) {
  if (bits == 0x7f) return 0;
  uint32_t exponent = bits >> 3 & 15, mantissa = bits & 7;
  if (exponent == 0) return static_cast<float>(mantissa) * 0x1p-10f;
  return __builtin_bit_cast(float, (exponent + 127 - 8) << 23 | mantissa << 20);
}

}  // namespace

void decode(const BlockMXFP4& block, float* out) {
  float d = half_e8m0(block.e);
  for (int j = 0; j < 16; ++j) {
    out[j] = static_cast<float>(kTwiceE2M1[block.qs[j] & 15]) * d;
    out[j + 16] = static_cast<float>(kTwiceE2M1[block.qs[j] >> 4]) * d;
  }
}

void decode(const BlockNVFP4& block, float* out) {
  for (int sub = 0; sub < 4; ++sub, out += 16) {
    float d = half_ue4m3(block.d[sub]);
    for (int j = 0; j < 8; ++j) {
      uint8_t pair = block.qs[sub * 8 + j];
      out[j] = static_cast<float>(kTwiceE2M1[pair & 15]) * d;
      out[j + 8] = static_cast<float>(kTwiceE2M1[pair >> 4]) * d;
    }
  }
}

}  // namespace hearth::quant
