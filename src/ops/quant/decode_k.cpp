// Super-blocks of 256 with quantised scales. The packing interleaves: a byte of a 2-bit plane holds elements that lie
// 32 apart (four of them, within one half of 128), a byte of a 4-bit plane two.
#include "ops/quant/decode_block.h"

namespace hearth::quant {
namespace {

/// Element i of a 2-bit plane of 64 bytes.
int two_bits(const uint8_t* plane, int i) { return plane[i / 128 * 32 + i % 32] >> (i % 128 / 32 * 2) & 3; }
/// Element i of a 4-bit plane of 128 bytes whose nibbles lie 32 elements apart.
int four_bits(const uint8_t* plane, int i) { return plane[i / 64 * 32 + i % 32] >> (i / 32 % 2 * 4) & 15; }
/// Element i of a 1-bit plane of 32 bytes: bit b of every byte belongs to sub-block b of 32.
int one_bit(const uint8_t* plane, int i) { return plane[i % 32] >> i / 32 & 1; }

/// Q3_K's 16 scales of 6 bits: low nibbles in 8 bytes, two high bits each in 4 more.
int q3_scale(const uint8_t* scales, int sub) {
  int low = sub < 8 ? scales[sub] & 15 : scales[sub - 8] >> 4;
  int high = scales[8 + sub % 4] >> (sub / 4 * 2) & 3;
  return (low | high << 4) - 32;
}

}  // namespace

ScaleMin k_scale_min(const uint8_t* scales, int sub) {
  if (sub < 4) return {scales[sub] & 63, scales[sub + 4] & 63};
  return {(scales[sub + 4] & 15) | scales[sub - 4] >> 6 << 4, scales[sub + 4] >> 4 | scales[sub] >> 6 << 4};
}

void decode(const BlockQ2_K& block, float* out) {
  float d = f16_to_f32(block.d), dmin = f16_to_f32(block.dmin);
  for (int i = 0; i < kSuper; ++i) {
    int packed = block.scales[i / 16];
    float scale = d * static_cast<float>(packed & 15), min = dmin * static_cast<float>(packed >> 4);
    out[i] = scale * static_cast<float>(two_bits(block.qs, i)) - min;
  }
}

void decode(const BlockQ3_K& block, float* out) {
  float d = f16_to_f32(block.d);
  for (int i = 0; i < kSuper; ++i) {
    float scale = d * static_cast<float>(q3_scale(block.scales, i / 16));
    int q = two_bits(block.qs, i) + 4 * one_bit(block.hmask, i) - 4;
    out[i] = scale * static_cast<float>(q);
  }
}

void decode(const BlockQ4_K& block, float* out) {
  float d = f16_to_f32(block.d), dmin = f16_to_f32(block.dmin);
  for (int i = 0; i < kSuper; ++i) {
    ScaleMin sub = k_scale_min(block.scales, i / 32);
    float scale = d * static_cast<float>(sub.scale), min = dmin * static_cast<float>(sub.min);
    out[i] = scale * static_cast<float>(four_bits(block.qs, i)) - min;
  }
}

void decode(const BlockQ5_K& block, float* out) {
  float d = f16_to_f32(block.d), dmin = f16_to_f32(block.dmin);
  for (int i = 0; i < kSuper; ++i) {
    ScaleMin sub = k_scale_min(block.scales, i / 32);
    float scale = d * static_cast<float>(sub.scale), min = dmin * static_cast<float>(sub.min);
    int q = four_bits(block.qs, i) + 16 * one_bit(block.qh, i);
    out[i] = scale * static_cast<float>(q) - min;
  }
}

void decode(const BlockQ6_K& block, float* out) {
  float d = f16_to_f32(block.d);
  for (int i = 0; i < kSuper; ++i) {
    // Unlike Q4_K the nibbles of a byte lie 64 elements apart.
    int low = block.ql[i / 128 * 64 + i % 64] >> (i % 128 / 64 * 4) & 15;
    int q = (low | two_bits(block.qh, i) << 4) - 32;
    out[i] = d * static_cast<float>(block.scales[i / 16]) * static_cast<float>(q);
  }
}

void decode(const BlockQ8_K& block, float* out) {
  for (int i = 0; i < kSuper; ++i) out[i] = block.d * static_cast<float>(block.qs[i]);
}

}  // namespace hearth::quant
