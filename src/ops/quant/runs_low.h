// One-bit, two-bit and ternary blocks.
#pragma once
#include "ops/quant/bits.h"
#include "ops/quant/blocks.h"

namespace hearth::quant {

/// Digit n (0 the most significant of five) of a byte that holds a base-3 fraction: byte / 256 = 0.t0 t1 t2 t3 t4.
constexpr int trit(uint8_t byte, int n) {
  int power = n < 2 ? 1 + 2 * n : n == 2 ? 9 : 27 + (n - 3) * 54;  // 3^n
  auto shifted = static_cast<uint8_t>(byte * power);               // drops the digits before n
  return shifted * 3 >> 8;
}

constexpr int tq1_trit(const BlockTQ1_0& block, int i) {
  if (i < 160) return trit(block.qs[i % 32], i / 32);
  if (i < 240) return trit(block.qs[32 + i % 16], (i - 160) / 16);
  return trit(block.qh[i % 4], (i - 240) / 4);
}

constexpr void decode_run(const BlockTQ1_0& block, int run, float* out) {
  float d = half_value(block.d);
  for (int j = 0; j < 8; ++j) out[j] = static_cast<float>(tq1_trit(block, 8 * run + j) - 1) * d;
}

constexpr void decode_run(const BlockTQ2_0& block, int run, float* out) {
  float d = half_value(block.d);
  for (int j = 0; j < 8; ++j) {
    int i = 8 * run + j, q = block.qs[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3;
    out[j] = static_cast<float>(q - 1) * d;
  }
}

constexpr void decode_run(const BlockQ1_0& block, int run, float* out) {
  float d = half_value(block.d);
  for (int j = 0; j < 8; ++j) out[j] = (block.qs[run] >> j & 1) != 0 ? d : -d;
}

constexpr void decode_run(const BlockQ2_0& block, int run, float* out) {
  float d = half_value(block.d);
  for (int j = 0; j < 8; ++j) {
    out[j] = static_cast<float>((block.qs[2 * run + j / 4] >> j % 4 * 2 & 3) - 1) * d;
  }
}

}  // namespace hearth::quant
