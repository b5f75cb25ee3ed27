#include "ops/linear/row_codes.h"

#include <cstring>

#include "core/base/check.h"
#include "ops/linear/row_codes_iq.h"
#include "ops/quant/decode_block.h"

namespace hearth {
namespace {

using namespace quant;
using hearth::codes_of;

// Nibbles of 16 bytes: low halves are elements 0 to 15, high halves 16 to 31.
void nibbles(const uint8_t* qs, uint8_t* codes) {
  for (int j = 0; j < 16; ++j) codes[j] = qs[j] & 15;
  for (int j = 0; j < 16; ++j) codes[j + 16] = qs[j] >> 4;
}

void fifth_bits(const uint8_t* qh, uint8_t* codes) {
  for (int j = 0; j < 32; ++j) codes[j] |= (qh[j / 8] >> j % 8 & 1) << 4;
}

void codes_of(const BlockQ4_0& b, uint8_t* codes, float* scale, float* min) {
  scale[0] = f16_to_f32(b.d);
  nibbles(b.qs, codes);
}
void codes_of(const BlockQ4_1& b, uint8_t* codes, float* scale, float* min) {
  scale[0] = f16_to_f32(b.d);
  min[0] = f16_to_f32(b.m);
  nibbles(b.qs, codes);
}
void codes_of(const BlockQ5_0& b, uint8_t* codes, float* scale, float* min) {
  scale[0] = f16_to_f32(b.d);
  nibbles(b.qs, codes);
  fifth_bits(b.qh, codes);
}
void codes_of(const BlockQ5_1& b, uint8_t* codes, float* scale, float* min) {
  scale[0] = f16_to_f32(b.d);
  min[0] = f16_to_f32(b.m);
  nibbles(b.qs, codes);
  fifth_bits(b.qh, codes);
}
void codes_of(const BlockQ8_0& b, uint8_t* codes, float* scale, float* min) {
  scale[0] = f16_to_f32(b.d);
  std::memcpy(codes, b.qs, 32);
}
void codes_of(const BlockQ8_1& b, uint8_t* codes, float* scale, float* min) {
  scale[0] = f16_to_f32(b.d);
  std::memcpy(codes, b.qs, 32);
}

void codes_of(const BlockQ2_K& b, uint8_t* codes, float* scale, float* min) {
  float d = f16_to_f32(b.d), dmin = f16_to_f32(b.dmin);
  for (int sub = 0; sub < 16; ++sub) {
    scale[sub] = d * static_cast<float>(b.scales[sub] & 15);
    min[sub] = -(dmin * static_cast<float>(b.scales[sub] >> 4));
  }
  for (int group = 0; group < 8; ++group) {
    for (int j = 0; j < 32; ++j) codes[32 * group + j] = b.qs[group / 4 * 32 + j] >> group % 4 * 2 & 3;
  }
}

void codes_of(const BlockQ3_K& b, uint8_t* codes, float* scale, float* min) {
  float d = f16_to_f32(b.d);
  for (int sub = 0; sub < 16; ++sub) {
    int low = sub < 8 ? b.scales[sub] & 15 : b.scales[sub - 8] >> 4;
    int high = b.scales[8 + sub % 4] >> sub / 4 * 2 & 3;
    scale[sub] = d * static_cast<float>((low | high << 4) - 32);
  }
  for (int group = 0; group < 8; ++group) {
    for (int j = 0; j < 32; ++j) {
      int low = b.qs[group / 4 * 32 + j] >> group % 4 * 2 & 3;
      codes[32 * group + j] = static_cast<uint8_t>(low | (b.hmask[j] >> group & 1) << 2);
    }
  }
}

template <class Block>
void k_scales(const Block& b, float* scale, float* min) {
  float d = f16_to_f32(b.d), dmin = f16_to_f32(b.dmin);
  for (int sub = 0; sub < 8; ++sub) {
    ScaleMin six_bits = k_scale_min(b.scales, sub);
    scale[sub] = d * static_cast<float>(six_bits.scale);
    min[sub] = -(dmin * static_cast<float>(six_bits.min));
  }
}

void k_nibbles(const uint8_t* qs, uint8_t* codes) {
  for (int pair = 0; pair < 4; ++pair) {
    for (int j = 0; j < 32; ++j) codes[64 * pair + j] = qs[32 * pair + j] & 15;
    for (int j = 0; j < 32; ++j) codes[64 * pair + 32 + j] = qs[32 * pair + j] >> 4;
  }
}

void codes_of(const BlockQ4_K& b, uint8_t* codes, float* scale, float* min) {
  k_scales(b, scale, min);
  k_nibbles(b.qs, codes);
}

void codes_of(const BlockQ5_K& b, uint8_t* codes, float* scale, float* min) {
  k_scales(b, scale, min);
  k_nibbles(b.qs, codes);
  for (int group = 0; group < 8; ++group) {
    for (int j = 0; j < 32; ++j) codes[32 * group + j] |= (b.qh[j] >> group & 1) << 4;
  }
}

void codes_of(const BlockQ6_K& b, uint8_t* codes, float* scale, float* min) {
  float d = f16_to_f32(b.d);
  for (int sub = 0; sub < 16; ++sub) scale[sub] = d * static_cast<float>(b.scales[sub]);
  for (int group = 0; group < 8; ++group) {
    const uint8_t* low = b.ql + group / 4 * 64 + group % 2 * 32;
    const uint8_t* high = b.qh + group / 4 * 32;
    for (int j = 0; j < 32; ++j) {
      int nibble = low[j] >> (group % 4 / 2 * 4) & 15;
      codes[32 * group + j] = static_cast<uint8_t>(nibble | (high[j] >> group % 4 * 2 & 3) << 4);
    }
  }
}

void codes_of(const BlockQ8_K& b, uint8_t* codes, float* scale, float* min) {
  for (int sub = 0; sub < 8; ++sub) scale[sub] = b.d;
  std::memcpy(codes, b.qs, kSuper);
}

void codes_of(const BlockTQ1_0& b, uint8_t* codes, float* scale, float* min) {
  for (int sub = 0; sub < 8; ++sub) scale[sub] = f16_to_f32(b.d);
  constexpr uint8_t kPower[] = {1, 3, 9, 27, 81};
  auto trits = [](const uint8_t* bytes, int n, int power, uint8_t* out) {
    for (int j = 0; j < n; ++j) {
      auto shifted = static_cast<uint8_t>(bytes[j] * power);
      out[j] = static_cast<uint8_t>(shifted * 3 >> 8);
    }
  };
  for (int n = 0; n < 5; ++n) {
    trits(b.qs, 32, kPower[n], codes + 32 * n);
    trits(b.qs + 32, 16, kPower[n], codes + 160 + 16 * n);
    if (n < 4) trits(b.qh, 4, kPower[n], codes + 240 + 4 * n);
  }
}

void codes_of(const BlockTQ2_0& b, uint8_t* codes, float* scale, float* min) {
  for (int sub = 0; sub < 8; ++sub) scale[sub] = f16_to_f32(b.d);
  for (int group = 0; group < 8; ++group) {
    for (int j = 0; j < 32; ++j) codes[32 * group + j] = b.qs[group / 4 * 32 + j] >> group % 4 * 2 & 3;
  }
}

// One bit: 1 is +d and 0 is -d, so the codes are 0 and 2 around a zero of 1.
void codes_of(const BlockQ1_0& b, uint8_t* codes, float* scale, float* min) {
  for (int sub = 0; sub < 4; ++sub) scale[sub] = f16_to_f32(b.d);
  for (int j = 0; j < 128; ++j) codes[j] = static_cast<uint8_t>((b.qs[j / 8] >> j % 8 & 1) << 1);
}

void codes_of(const BlockQ2_0& b, uint8_t* codes, float* scale, float* min) {
  for (int sub = 0; sub < 2; ++sub) scale[sub] = f16_to_f32(b.d);
  for (int j = 0; j < 64; ++j) codes[j] = b.qs[j / 4] >> j % 4 * 2 & 3;
}

template <class Block>
void read_blocks(const uint8_t* bytes, int64_t n, RowCodes& out) {
  const int columns = coding(Block::kType).columns;
  uint8_t* codes = out.codes;
  float *scale = out.scale, *min = out.min;
  for (int64_t i = 0; i < n; i += Block::kElements, bytes += sizeof(Block)) {
    Block block;
    std::memcpy(&block, bytes, sizeof(Block));
    codes_of(block, codes, scale, min);
    codes += Block::kElements;
    scale += Block::kElements / columns;
    min += Block::kElements / columns;
  }
}

}  // namespace

Coding coding(DType type) {
  constexpr Coding kSigned32{32, false, true, 0, 0}, kSigned16{16, false, true, 0, 0};
  switch (type) {
    case DType::kQ4_0: return {32, false, false, 8, 15};
    case DType::kQ4_1: return {32, true, false, 0, 15};
    case DType::kQ5_0: return {32, false, false, 16, 31};
    case DType::kQ5_1: return {32, true, false, 0, 31};
    case DType::kQ2_K: return {16, true, false, 0, 3};
    case DType::kQ3_K: return {16, false, false, 4, 7};
    case DType::kQ4_K: return {32, true, false, 0, 15};
    case DType::kQ5_K: return {32, true, false, 0, 31};
    case DType::kQ6_K: return {16, false, false, 32, 63};
    case DType::kTQ1_0:
    case DType::kTQ2_0: return {32, false, false, 1, 3};
    case DType::kQ1_0: return {32, false, false, 1, 2};
    case DType::kQ2_0: return {32, false, false, 1, 3};
    case DType::kQ8_0:
    case DType::kQ8_1:
    case DType::kQ8_K:
    case DType::kIQ1_S:
    case DType::kIQ2_XXS:
    case DType::kIQ3_XXS:
    case DType::kIQ3_S:
    case DType::kIQ4_NL:
    case DType::kIQ4_XS:
    case DType::kMXFP4: return kSigned32;
    case DType::kIQ1_M:
    case DType::kIQ2_XS:
    case DType::kIQ2_S:
    case DType::kNVFP4: return kSigned16;
    default: return {};
  }
}

void read_codes(DType type, const uint8_t* blocks, int64_t n, RowCodes& out) {
  switch (type) {
    case DType::kQ4_0: return read_blocks<BlockQ4_0>(blocks, n, out);
    case DType::kQ4_1: return read_blocks<BlockQ4_1>(blocks, n, out);
    case DType::kQ5_0: return read_blocks<BlockQ5_0>(blocks, n, out);
    case DType::kQ5_1: return read_blocks<BlockQ5_1>(blocks, n, out);
    case DType::kQ8_0: return read_blocks<BlockQ8_0>(blocks, n, out);
    case DType::kQ8_1: return read_blocks<BlockQ8_1>(blocks, n, out);
    case DType::kQ2_K: return read_blocks<BlockQ2_K>(blocks, n, out);
    case DType::kQ3_K: return read_blocks<BlockQ3_K>(blocks, n, out);
    case DType::kQ4_K: return read_blocks<BlockQ4_K>(blocks, n, out);
    case DType::kQ5_K: return read_blocks<BlockQ5_K>(blocks, n, out);
    case DType::kQ6_K: return read_blocks<BlockQ6_K>(blocks, n, out);
    case DType::kQ8_K: return read_blocks<BlockQ8_K>(blocks, n, out);
    case DType::kIQ1_S: return read_blocks<BlockIQ1_S>(blocks, n, out);
    case DType::kIQ1_M: return read_blocks<BlockIQ1_M>(blocks, n, out);
    case DType::kIQ2_XXS: return read_blocks<BlockIQ2_XXS>(blocks, n, out);
    case DType::kIQ2_XS: return read_blocks<BlockIQ2_XS>(blocks, n, out);
    case DType::kIQ2_S: return read_blocks<BlockIQ2_S>(blocks, n, out);
    case DType::kIQ3_XXS: return read_blocks<BlockIQ3_XXS>(blocks, n, out);
    case DType::kIQ3_S: return read_blocks<BlockIQ3_S>(blocks, n, out);
    case DType::kIQ4_NL: return read_blocks<BlockIQ4_NL>(blocks, n, out);
    case DType::kIQ4_XS: return read_blocks<BlockIQ4_XS>(blocks, n, out);
    case DType::kTQ1_0: return read_blocks<BlockTQ1_0>(blocks, n, out);
    case DType::kTQ2_0: return read_blocks<BlockTQ2_0>(blocks, n, out);
    case DType::kMXFP4: return read_blocks<BlockMXFP4>(blocks, n, out);
    case DType::kNVFP4: return read_blocks<BlockNVFP4>(blocks, n, out);
    case DType::kQ1_0: return read_blocks<BlockQ1_0>(blocks, n, out);
    case DType::kQ2_0: return read_blocks<BlockQ2_0>(blocks, n, out);
    default: check(false, "read_codes knows the type");
  }
}

}  // namespace hearth
