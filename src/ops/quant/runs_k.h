// Super-blocks of 256 with quantised scales. The packing interleaves: a byte of a 2-bit plane holds elements that lie
// 32 apart (four of them, within one half of 128), a byte of a 4-bit plane two. A run of 8 lies in one sub-block.
#pragma once
#include "ops/quant/bits.h"
#include "ops/quant/blocks.h"

namespace hearth::quant {

struct ScaleMin {
  int scale, min;
};
/// The 6-bit scale and minimum of sub-block `sub` (0 to 7) out of the 12 bytes that Q4_K and Q5_K share.
constexpr ScaleMin k_scale_min(const uint8_t* scales, int sub) {
  if (sub < 4) return {scales[sub] & 63, scales[sub + 4] & 63};
  return {(scales[sub + 4] & 15) | scales[sub - 4] >> 6 << 4, scales[sub + 4] >> 4 | scales[sub] >> 6 << 4};
}

/// Element i of a 2-bit plane of 64 bytes.
constexpr int two_bits(const uint8_t* plane, int i) { return plane[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3; }
/// Element i of a 4-bit plane of 128 bytes whose nibbles lie 32 elements apart.
constexpr int four_bits(const uint8_t* plane, int i) { return plane[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15; }
/// Element i of a 1-bit plane of 32 bytes: bit b of every byte belongs to sub-block b of 32.
constexpr int one_bit(const uint8_t* plane, int i) { return plane[i % 32] >> i / 32 & 1; }

/// Q3_K's 16 scales of 6 bits: low nibbles in 8 bytes, two high bits each in 4 more.
constexpr int q3_scale(const uint8_t* scales, int sub) {
  int low = sub < 8 ? scales[sub] & 15 : scales[sub - 8] >> 4;
  int high = scales[8 + sub % 4] >> (sub / 4 * 2) & 3;
  return (low | high << 4) - 32;
}

constexpr void decode_run(const BlockQ2_K& block, int run, float* out) {
  int packed = block.scales[run / 2];
  float scale = half_value(block.d) * static_cast<float>(packed & 15);
  float min = half_value(block.dmin) * static_cast<float>(packed >> 4);
  for (int j = 0; j < 8; ++j) out[j] = scale * static_cast<float>(two_bits(block.qs, 8 * run + j)) - min;
}

constexpr void decode_run(const BlockQ3_K& block, int run, float* out) {
  float scale = half_value(block.d) * static_cast<float>(q3_scale(block.scales, run / 2));
  for (int j = 0; j < 8; ++j) {
    int i = 8 * run + j, q = two_bits(block.qs, i) + 4 * one_bit(block.hmask, i) - 4;
    out[j] = scale * static_cast<float>(q);
  }
}

constexpr void decode_run(const BlockQ4_K& block, int run, float* out) {
  ScaleMin sub = k_scale_min(block.scales, run / 4);
  float scale = half_value(block.d) * static_cast<float>(sub.scale);
  float min = half_value(block.dmin) * static_cast<float>(sub.min);
  for (int j = 0; j < 8; ++j) out[j] = scale * static_cast<float>(four_bits(block.qs, 8 * run + j)) - min;
}

constexpr void decode_run(const BlockQ5_K& block, int run, float* out) {
  ScaleMin sub = k_scale_min(block.scales, run / 4);
  float scale = half_value(block.d) * static_cast<float>(sub.scale);
  float min = half_value(block.dmin) * static_cast<float>(sub.min);
  for (int j = 0; j < 8; ++j) {
    int i = 8 * run + j, q = four_bits(block.qs, i) + 16 * one_bit(block.qh, i);
    out[j] = scale * static_cast<float>(q) - min;
  }
}

constexpr void decode_run(const BlockQ6_K& block, int run, float* out) {
  float scale = half_value(block.d) * static_cast<float>(block.scales[run / 2]);
  for (int j = 0; j < 8; ++j) {
    int i = 8 * run + j;  // unlike Q4_K the nibbles of a byte lie 64 elements apart
    int low = block.ql[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4) & 15;
    out[j] = scale * static_cast<float>((low | two_bits(block.qh, i) << 4) - 32);
  }
}

constexpr void decode_run(const BlockQ8_K& block, int run, float* out) {
  for (int j = 0; j < 8; ++j) out[j] = block.d * static_cast<float>(block.qs[8 * run + j]);
}

}  // namespace hearth::quant
