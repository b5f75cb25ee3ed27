// One-bit, two-bit and ternary blocks.
#include "ops/quant/decode_block.h"

namespace hearth::quant {
namespace {

/// Digit n (0 the most significant of five) of a byte that holds a base-3 fraction: byte / 256 = 0.t0 t1 t2 t3 t4.
int trit(uint8_t byte, int n) {
  constexpr uint8_t kPower[] = {1, 3, 9, 27, 81};
  auto shifted = static_cast<uint8_t>(byte * kPower[n]);  // drops the digits before n
  return shifted * 3 >> 8;
}

int tq1_trit(const BlockTQ1_0& block, int i) {
  if (i < 160) return trit(block.qs[i % 32], i / 32);
  if (i < 240) return trit(block.qs[32 + i % 16], (i - 160) / 16);
  return trit(block.qh[i % 4], (i - 240) / 4);
}

}  // namespace

void decode(const BlockTQ1_0& block, float* out) {
  float d = f16_to_f32(block.d);
  for (int i = 0; i < kSuper; ++i) out[i] = static_cast<float>(tq1_trit(block, i) - 1) * d;
}

void decode(const BlockTQ2_0& block, float* out) {
  float d = f16_to_f32(block.d);
  for (int i = 0; i < kSuper; ++i) {
    int q = block.qs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
    out[i] = static_cast<float>(q - 1) * d;
  }
}

void decode(const BlockQ1_0& block, float* out) {
  float d = f16_to_f32(block.d);
  for (int i = 0; i < 128; ++i) out[i] = (block.qs[i / 8] >> i % 8 & 1) != 0 ? d : -d;
}

void decode(const BlockQ2_0& block, float* out) {
  float d = f16_to_f32(block.d);
  for (int i = 0; i < 64; ++i) out[i] = static_cast<float>((block.qs[i / 4] >> i % 4 * 2 & 3) - 1) * d;
}

}  // namespace hearth::quant
