// Blocks of 32. Element j of the first half is the low nibble of byte j, of the second half the high nibble; the fifth
// bit of element i is bit i of qh.
#include "ops/quant/decode_block.h"

namespace hearth::quant {
namespace {

int nibble(const uint8_t* qs, int i) { return i < 16 ? qs[i] & 15 : qs[i - 16] >> 4; }
int five_bits(const uint8_t* qs, const uint8_t* qh, int i) { return nibble(qs, i) | (qh[i / 8] >> i % 8 & 1) << 4; }

}  // namespace

void decode(const BlockQ4_0& block, float* out) {
  float d = f16_to_f32(block.d);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(nibble(block.qs, i) - 8) * d;
}

void decode(const BlockQ4_1& block, float* out) {
  float d = f16_to_f32(block.d), m = f16_to_f32(block.m);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(nibble(block.qs, i)) * d + m;
}

void decode(const BlockQ5_0& block, float* out) {
  float d = f16_to_f32(block.d);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(five_bits(block.qs, block.qh, i) - 16) * d;
}

void decode(const BlockQ5_1& block, float* out) {
  float d = f16_to_f32(block.d), m = f16_to_f32(block.m);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(five_bits(block.qs, block.qh, i)) * d + m;
}

void decode(const BlockQ8_0& block, float* out) {
  float d = f16_to_f32(block.d);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(block.qs[i]) * d;
}

void decode(const BlockQ8_1& block, float* out) {
  float d = f16_to_f32(block.d);
  for (int i = 0; i < 32; ++i) out[i] = static_cast<float>(block.qs[i]) * d;
}

}  // namespace hearth::quant
