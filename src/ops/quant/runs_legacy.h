// Blocks of 32. Element j of the first half is the low nibble of byte j, of the second half the high nibble; the fifth
// bit of element i is bit i of qh.
#pragma once
#include "ops/quant/bits.h"
#include "ops/quant/blocks.h"

namespace hearth::quant {

constexpr int five_bits(const uint8_t* qs, const uint8_t* qh, int i) {
  return nibble(qs, 16, i) | (qh[i / 8] >> i % 8 & 1) << 4;
}

constexpr void decode_run(const BlockQ4_0& block, int run, float* out) {
  float d = half_value(block.d);
  for (int j = 0; j < 8; ++j) out[j] = static_cast<float>(nibble(block.qs, 16, 8 * run + j) - 8) * d;
}

constexpr void decode_run(const BlockQ4_1& block, int run, float* out) {
  float d = half_value(block.d), m = half_value(block.m);
  for (int j = 0; j < 8; ++j) out[j] = static_cast<float>(nibble(block.qs, 16, 8 * run + j)) * d + m;
}

constexpr void decode_run(const BlockQ5_0& block, int run, float* out) {
  float d = half_value(block.d);
  for (int j = 0; j < 8; ++j) out[j] = static_cast<float>(five_bits(block.qs, block.qh, 8 * run + j) - 16) * d;
}

constexpr void decode_run(const BlockQ5_1& block, int run, float* out) {
  float d = half_value(block.d), m = half_value(block.m);
  for (int j = 0; j < 8; ++j) out[j] = static_cast<float>(five_bits(block.qs, block.qh, 8 * run + j)) * d + m;
}

constexpr void decode_run(const BlockQ8_0& block, int run, float* out) {
  float d = half_value(block.d);
  for (int j = 0; j < 8; ++j) out[j] = static_cast<float>(block.qs[8 * run + j]) * d;
}

constexpr void decode_run(const BlockQ8_1& block, int run, float* out) {
  float d = half_value(block.d);
  for (int j = 0; j < 8; ++j) out[j] = static_cast<float>(block.qs[8 * run + j]) * d;
}

}  // namespace hearth::quant
