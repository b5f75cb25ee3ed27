#include "ops/linear/row_codes.h"

#include <cstring>

#include "core/base/check.h"
#include "ops/linear/byte_words.h"
#include "ops/linear/row_codes_iq.h"
#include "ops/quant/decode_block.h"

namespace hearth {
namespace {

using namespace quant;

// Nibbles of 16 bytes: low halves are elements 0 to 15, high halves 16 to 31.
void nibbles(const uint8_t* qs, uint8_t* codes) {
  Bytes16 bytes = load_bytes(qs);
  store_bytes(codes, bytes & 15);
  store_bytes(codes + 16, bytes >> 4);
}

void fifth_bits(const uint8_t* qh, uint8_t* codes) {
  for (int j = 0; j < 4; ++j) {
    uint64_t word;
    std::memcpy(&word, codes + 8 * j, sizeof(word));
    store_word(codes + 8 * j, word | (kByteMasks[qh[j]] & 0x1010101010101010u));
  }
}

// 32 elements that are two bits each of 32 bytes, from bit `shift` on.
void two_bits(const uint8_t* qs, int shift, uint8_t* codes) {
  for (int j = 0; j < 32; j += 16) store_bytes(codes + j, load_bytes(qs + j) >> shift & 3);
}

// Adds bit `from` of 32 bytes to the codes as bit `to`.
void one_bit(const uint8_t* plane, int from, int to, uint8_t* codes) {
  for (int j = 0; j < 32; j += 16) {
    store_bytes(codes + j, load_bytes(codes + j) | (load_bytes(plane + j) >> from & 1) << to);
  }
}

using SignedBytes16 = int8_t __attribute__((vector_size(16)));

// to[16] = d * bytes.
template <class Bytes>
void scale_all(const Bytes& bytes, float d, float* to) {
  using Floats16 = float __attribute__((vector_size(64)));
  Floats16 scaled = __builtin_convertvector(bytes, Floats16) * d;
  std::memcpy(to, &scaled, sizeof(scaled));
}

void codes_of(const BlockQ4_0& b, uint8_t* codes, float* scale, float* min) {
  scale[0] = half_to_float(b.d);
  nibbles(b.qs, codes);
}
void codes_of(const BlockQ4_1& b, uint8_t* codes, float* scale, float* min) {
  scale[0] = half_to_float(b.d);
  min[0] = half_to_float(b.m);
  nibbles(b.qs, codes);
}
void codes_of(const BlockQ5_0& b, uint8_t* codes, float* scale, float* min) {
  scale[0] = half_to_float(b.d);
  nibbles(b.qs, codes);
  fifth_bits(b.qh, codes);
}
void codes_of(const BlockQ5_1& b, uint8_t* codes, float* scale, float* min) {
  scale[0] = half_to_float(b.d);
  min[0] = half_to_float(b.m);
  nibbles(b.qs, codes);
  fifth_bits(b.qh, codes);
}
void codes_of(const BlockQ8_0& b, uint8_t* codes, float* scale, float* min) {
  scale[0] = half_to_float(b.d);
  std::memcpy(codes, b.qs, 32);
}
void codes_of(const BlockQ8_1& b, uint8_t* codes, float* scale, float* min) {
  scale[0] = half_to_float(b.d);
  std::memcpy(codes, b.qs, 32);
}

void codes_of(const BlockQ2_K& b, uint8_t* codes, float* scale, float* min) {
  float d = half_to_float(b.d), dmin = half_to_float(b.dmin);
  Bytes16 scales = load_bytes(b.scales);
  scale_all<Bytes16>(scales & 15, d, scale);
  scale_all<Bytes16>(scales >> 4, -dmin, min);
  for (int group = 0; group < 8; ++group) {
    two_bits(b.qs + group / 4 * 32, group % 4 * 2, codes + 32 * group);
  }
}

void codes_of(const BlockQ3_K& b, uint8_t* codes, float* scale, float* min) {
  float d = half_to_float(b.d);
  SignedBytes16 scales;
  for (int sub = 0; sub < 16; sub += 4) {  // low nibbles lie in the first eight bytes, high bits in the other four
    uint32_t low = load_word32(b.scales + sub % 8) >> sub / 8 * 4 & 0x0f0f0f0f;
    uint32_t high = load_word32(b.scales + 8) >> sub / 4 * 2 & 0x03030303;
    uint32_t word = low | high << 4;
    std::memcpy(reinterpret_cast<uint8_t*>(&scales) + sub, &word, sizeof(word));
  }
  scale_all<SignedBytes16>(scales - 32, d, scale);
  for (int group = 0; group < 8; ++group) {
    two_bits(b.qs + group / 4 * 32, group % 4 * 2, codes + 32 * group);
    one_bit(b.hmask, group, 2, codes + 32 * group);
  }
}

template <class Block>
void k_scales(const Block& b, float* scale, float* min) {
  float d = half_to_float(b.d), dmin = half_to_float(b.dmin);
  for (int sub = 0; sub < 8; ++sub) {
    ScaleMin six_bits = k_scale_min(b.scales, sub);
    scale[sub] = d * static_cast<float>(six_bits.scale);
    min[sub] = -(dmin * static_cast<float>(six_bits.min));
  }
}

void k_nibbles(const uint8_t* qs, uint8_t* codes) {
  for (int pair = 0; pair < 4; ++pair) {
    for (int j = 0; j < 32; j += 16) {
      Bytes16 bytes = load_bytes(qs + 32 * pair + j);
      store_bytes(codes + 64 * pair + j, bytes & 15);
      store_bytes(codes + 64 * pair + 32 + j, bytes >> 4);
    }
  }
}

void codes_of(const BlockQ4_K& b, uint8_t* codes, float* scale, float* min) {
  k_scales(b, scale, min);
  k_nibbles(b.qs, codes);
}

void codes_of(const BlockQ5_K& b, uint8_t* codes, float* scale, float* min) {
  k_scales(b, scale, min);
  k_nibbles(b.qs, codes);
  for (int group = 0; group < 8; ++group) one_bit(b.qh, group, 4, codes + 32 * group);
}

void codes_of(const BlockQ6_K& b, uint8_t* codes, float* scale, float* min) {
  float d = half_to_float(b.d);
  SignedBytes16 scales;
  std::memcpy(&scales, b.scales, sizeof(scales));
  scale_all<SignedBytes16>(scales, d, scale);
  for (int group = 0; group < 8; ++group) {
    const uint8_t* low = b.ql + group / 4 * 64 + group % 2 * 32;
    const uint8_t* high = b.qh + group / 4 * 32;
    for (int j = 0; j < 32; j += 16) {
      Bytes16 nibble = load_bytes(low + j) >> (group % 4 / 2 * 4) & 15;
      store_bytes(codes + 32 * group + j, nibble | (load_bytes(high + j) >> group % 4 * 2 & 3) << 4);
    }
  }
}

void codes_of(const BlockQ8_K& b, uint8_t* codes, float* scale, float* min) {
  for (int sub = 0; sub < 8; ++sub) scale[sub] = b.d;
  std::memcpy(codes, b.qs, kSuper);
}

// Digits of base 3: the top digit of a byte is 0, 1 or 2 as the byte reaches 86 and 171, thirds of 256.
template <class Bytes>
void trits(const uint8_t* bytes, int power, uint8_t* out) {
  Bytes of;
  std::memcpy(&of, bytes, sizeof(of));
  of = of * static_cast<uint8_t>(power);
  Bytes digit = (Bytes)((of > 85) & 1) + (Bytes)((of > 170) & 1);
  std::memcpy(out, &digit, sizeof(digit));
}

void codes_of(const BlockTQ1_0& b, uint8_t* codes, float* scale, float* min) {
  using Bytes4 = uint8_t __attribute__((vector_size(4)));
  for (int sub = 0; sub < 8; ++sub) scale[sub] = half_to_float(b.d);
  for (int n = 0, power = 1; n < 5; ++n, power *= 3) {
    trits<Bytes16>(b.qs, power, codes + 32 * n);
    trits<Bytes16>(b.qs + 16, power, codes + 32 * n + 16);
    trits<Bytes16>(b.qs + 32, power, codes + 160 + 16 * n);
    if (n < 4) trits<Bytes4>(b.qh, power, codes + 240 + 4 * n);
  }
}

void codes_of(const BlockTQ2_0& b, uint8_t* codes, float* scale, float* min) {
  for (int sub = 0; sub < 8; ++sub) scale[sub] = half_to_float(b.d);
  for (int group = 0; group < 8; ++group) {
    two_bits(b.qs + group / 4 * 32, group % 4 * 2, codes + 32 * group);
  }
}

// One bit: 1 is +d and 0 is -d, so the codes are 0 and 2 around a zero of 1.
void codes_of(const BlockQ1_0& b, uint8_t* codes, float* scale, float* min) {
  for (int sub = 0; sub < 4; ++sub) scale[sub] = half_to_float(b.d);
  for (int j = 0; j < 16; ++j) store_word(codes + 8 * j, kByteMasks[b.qs[j]] & 0x0202020202020202u);
}

void codes_of(const BlockQ2_0& b, uint8_t* codes, float* scale, float* min) {
  for (int sub = 0; sub < 2; ++sub) scale[sub] = half_to_float(b.d);
  for (int j = 0; j < 16; ++j) {
    uint32_t q = b.qs[j];
    uint32_t word = (q | q << 6 | q << 12 | q << 18) & 0x03030303;  // two bits to each byte
    std::memcpy(codes + 4 * j, &word, sizeof(word));
  }
}

constexpr int8_t kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
constexpr int8_t kTwiceE2M1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

void codes_of(const BlockIQ4_NL& b, uint8_t* codes, float* scale, float* min) {
  scale[0] = half_to_float(b.d);
  nibbles(b.qs, codes);
}

void codes_of(const BlockIQ4_XS& b, uint8_t* codes, float* scale, float* min) {
  float d = half_to_float(b.d);
  for (int group = 0; group < 8; ++group) {
    int low = b.scales_l[group / 2] >> group % 2 * 4 & 15;
    int high = b.scales_h >> 2 * group & 3;
    scale[group] = d * static_cast<float>((low | high << 4) - 32);
    nibbles(b.qs + 16 * group, codes + 32 * group);
  }
}

// Half of an E8M0 scale: 2^(e - 128), because the levels are twice what they mean.
void codes_of(const BlockMXFP4& b, uint8_t* codes, float* scale, float* min) {
  scale[0] = __builtin_bit_cast(float, b.e < 2 ? 0x00200000u << b.e : (b.e - 1u) << 23);
  nibbles(b.qs, codes);
}

constexpr uint64_t kNibbles = 0x0f0f0f0f0f0f0f0fu;

// Half of an unsigned E4M3 scale; the NaN pattern counts as zero.
void codes_of(const BlockNVFP4& b, uint8_t* codes, float* scale, float* min) {
  for (int sub = 0; sub < 4; ++sub) {
    uint8_t bits = b.d[sub] & 0x7f;
    scale[sub] = b.d[sub] == 0x7f ? 0 : half_to_float(static_cast<uint16_t>(bits << 7)) * 0x1p7f;
    uint64_t pairs;
    std::memcpy(&pairs, b.qs + 8 * sub, sizeof(pairs));
    store_word(codes + 16 * sub, pairs & kNibbles);
    store_word(codes + 16 * sub + 8, pairs >> 4 & kNibbles);
  }
}

template <class Block>
void read_blocks(const uint8_t* bytes, int64_t n, RowCodes& out) {
  const int columns = coding(Block::kType).columns;
  uint8_t* codes = out.codes;
  float *scale = out.scale, *min = out.min;
  for (int64_t i = 0; i < n; i += Block::kElements, bytes += sizeof(Block)) {
    // In place: a copy would be written in one width and read at once in another, which the store buffer stalls on.
    codes_of(*reinterpret_cast<const Block*>(bytes), codes, scale, min);
    codes += Block::kElements;
    scale += Block::kElements / columns;
    min += Block::kElements / columns;
  }
}

// A codebook type's block is a whole chunk.
template <class Block>
void read_points(const uint8_t* bytes, RowCodes& out) {
  static_assert(Block::kElements == kCodeChunk);
  codes_of_points(*reinterpret_cast<const Block*>(bytes), out);
}

}  // namespace

Coding coding(DType type) {
  constexpr Coding kSigned32{32, false, true, 0, 0};
  constexpr Coding kIq4{32, false, true, 0, 0, kIq4Levels};
  constexpr Coding kPoints32{32, false, true, 0, 0, nullptr, true}, kPoints16{16, false, true, 0, 0, nullptr, true};
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
    case DType::kQ8_K: return kSigned32;
    case DType::kIQ1_S: return {32, false, false, kIq1Zero, 25};
    case DType::kIQ1_M: return {16, false, false, kIq1Zero, 25};
    case DType::kIQ2_XXS:
    case DType::kIQ3_XXS:
    case DType::kIQ3_S: return kPoints32;
    case DType::kIQ2_XS:
    case DType::kIQ2_S: return kPoints16;
    case DType::kIQ4_NL:
    case DType::kIQ4_XS: return kIq4;
    case DType::kMXFP4: return {32, false, true, 0, 0, kTwiceE2M1};
    case DType::kNVFP4: return {16, false, true, 0, 0, kTwiceE2M1};
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
    case DType::kIQ1_S: return read_points<BlockIQ1_S>(blocks, out);
    case DType::kIQ1_M: return read_points<BlockIQ1_M>(blocks, out);
    case DType::kIQ2_XXS: return read_points<BlockIQ2_XXS>(blocks, out);
    case DType::kIQ2_XS: return read_points<BlockIQ2_XS>(blocks, out);
    case DType::kIQ2_S: return read_points<BlockIQ2_S>(blocks, out);
    case DType::kIQ3_XXS: return read_points<BlockIQ3_XXS>(blocks, out);
    case DType::kIQ3_S: return read_points<BlockIQ3_S>(blocks, out);
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

void read_rows(DType type, const FileRows& from, int64_t n, RowCodes* out) {
  for (int r = 0; r < from.rows; ++r) read_codes(type, from.first + r * from.stride, n, out[r]);
}

}  // namespace hearth
