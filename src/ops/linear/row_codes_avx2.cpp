// read_rows() with AVX2, of the types that have no layout of their own and are expanded from file blocks at every
// step; the others, which only small or oddly shaped weights leave in file layout, take the portable one.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

#include "ops/linear/byte_words.h"
#include "ops/linear/cpu_kernels.h"
#include "ops/linear/row_codes_iq.h"
#include "ops/quant/blocks.h"
#include "ops/quant/iq_grids.h"
#include "ops/simd/target.h"

HEARTH_BEGIN_AVX2
//
#include "ops/linear/row_codes_avx2.h"
//
#include "ops/linear/row_codes_signs_avx2.h"
//
#include "ops/linear/row_codes_points_avx2.h"

namespace hearth::cpu {
namespace {

using namespace quant;

HEARTH_INLINE float half_at(const uint16_t& bits) { return _cvtsh_ss(bits); }

/// Where a block's part of a chunk goes.
struct Place {
  uint8_t* codes;
  float *scale, *min;
};

HEARTH_INLINE void same_scales(float d, int n, float* to) {
  if (n == 8) return _mm256_storeu_ps(to, _mm256_set1_ps(d));
  HEARTH_UNROLL
  for (int i = 0; i < n; ++i) to[i] = d;
}

// 128 elements that are two bits each of 32 bytes, the lowest first.
HEARTH_INLINE void two_bits(__m256i bytes, uint8_t* codes) {
  HEARTH_UNROLL
  for (int i = 0; i < 4; ++i) store32(codes + 32 * i, bits_of(_mm256_srli_epi16(bytes, 2 * i), 3));
}

// 32 elements, the low halves of 16 bytes first.
HEARTH_INLINE void nibbles(const uint8_t* qs, uint8_t* codes) {
  __m128i bytes = load16(qs);
  store16(codes, bits_of(bytes, 15));
  store16(codes + 16, bits_of(_mm_srli_epi16(bytes, 4), 15));
}

HEARTH_INLINE void codes_of(const BlockQ8_1& b, Place to) {
  to.scale[0] = half_at(b.d);
  store32(to.codes, load32(b.qs));
}

HEARTH_INLINE void codes_of(const BlockQ8_K& b, Place to) {
  same_scales(b.d, 8, to.scale);
  HEARTH_UNROLL
  for (int i = 0; i < kSuper; i += 32) store32(to.codes + i, load32(b.qs + i));
}

HEARTH_INLINE void codes_of(const BlockQ2_K& b, Place to) {
  __m128i scales = load16(b.scales);
  scale_bytes(bits_of(scales, 15), half_at(b.d), to.scale);
  scale_bytes(bits_of(_mm_srli_epi16(scales, 4), 15), -half_at(b.dmin), to.min);
  two_bits(load32(b.qs), to.codes);
  two_bits(load32(b.qs + 32), to.codes + 128);
}

HEARTH_INLINE void codes_of(const BlockQ3_K& b, Place to) {
  // Low nibbles lie in the first eight bytes, high bits in the other four.
  __m128i low = load8(b.scales), high = _mm_set1_epi32(word_at(b.scales + 8));
  low = bits_of(_mm_unpacklo_epi64(low, _mm_srli_epi64(low, 4)), 15);
  high = bits_of(_mm_srlv_epi32(high, _mm_setr_epi32(0, 2, 4, 6)), 3);
  __m128i scales = _mm_or_si128(low, _mm_slli_epi16(high, 4));
  scale_signed_bytes(_mm_sub_epi8(scales, _mm_set1_epi8(32)), half_at(b.d), to.scale);
  const __m256i third = load32(b.hmask);
  HEARTH_UNROLL
  for (int group = 0; group < 8; ++group) {
    __m256i two = bits_of(_mm256_srli_epi16(load32(b.qs + group / 4 * 32), group % 4 * 2), 3);
    __m256i moved = group < 2 ? _mm256_slli_epi16(third, 2 - group) : _mm256_srli_epi16(third, group - 2);
    store32(to.codes + 32 * group, _mm256_or_si256(two, bits_of(moved, 4)));
  }
}

// Digits of base 3: the top digit of a byte is 0, 1 or 2 as the byte reaches 86 and 171, thirds of 256.
HEARTH_INLINE __m256i top_trits(__m256i bytes) {
  __m256i one = _mm256_cmpeq_epi8(_mm256_max_epu8(bytes, _mm256_set1_epi8(86)), bytes);
  __m256i two = _mm256_cmpeq_epi8(_mm256_max_epu8(bytes, _mm256_set1_epi8(static_cast<char>(171))), bytes);
  return _mm256_abs_epi8(_mm256_add_epi8(one, two));
}
HEARTH_INLINE __m256i next_trits(__m256i bytes) { return _mm256_add_epi8(bytes, _mm256_add_epi8(bytes, bytes)); }

HEARTH_INLINE void codes_of(const BlockTQ1_0& b, Place to) {
  same_scales(half_at(b.d), 8, to.scale);
  // Besides 32 bytes of five digits: 16 more, and beside these four of four digits.
  __m256i first = load32(b.qs), last = _mm256_setr_m128i(load16(b.qs + 32), _mm_cvtsi32_si128(word_at(b.qh)));
  HEARTH_UNROLL
  for (int n = 0; n < 5; ++n) {
    store32(to.codes + 32 * n, top_trits(first));
    __m256i digits = top_trits(last);
    store16(to.codes + 160 + 16 * n, _mm256_castsi256_si128(digits));
    if (n < 4) {
      int32_t four = _mm_cvtsi128_si32(_mm256_extracti128_si256(digits, 1));
      std::memcpy(to.codes + 240 + 4 * n, &four, sizeof(four));
    }
    first = next_trits(first);
    last = next_trits(last);
  }
}

HEARTH_INLINE void codes_of(const BlockTQ2_0& b, Place to) {
  same_scales(half_at(b.d), 8, to.scale);
  two_bits(load32(b.qs), to.codes);
  two_bits(load32(b.qs + 32), to.codes + 128);
}

// One bit: 1 is +d and 0 is -d, so the codes are 0 and 2 around a zero of 1.
HEARTH_INLINE void codes_of(const BlockQ1_0& b, Place to) {
  const __m256i bit = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201u));
  const __m256i byte_of = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  same_scales(half_at(b.d), 4, to.scale);
  HEARTH_UNROLL
  for (int i = 0; i < 4; ++i) {
    __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(word_at(b.qs + 4 * i)), byte_of);
    store32(to.codes + 32 * i, bits_of(_mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit), 2));
  }
}

HEARTH_INLINE void codes_of(const BlockQ2_0& b, Place to) {
  same_scales(half_at(b.d), 2, to.scale);
  HEARTH_UNROLL
  for (int i = 0; i < 16; i += 8) {
    __m256i q = _mm256_cvtepu8_epi32(load8(b.qs + i));  // two bits to each byte of a word
    q = _mm256_or_si256(q, _mm256_slli_epi32(q, 12));
    store32(to.codes + 4 * i, bits_of(_mm256_or_si256(q, _mm256_slli_epi32(q, 6)), 3));
  }
}

HEARTH_INLINE void codes_of(const BlockIQ4_NL& b, Place to) {
  to.scale[0] = half_at(b.d);
  nibbles(b.qs, to.codes);
}

HEARTH_INLINE void codes_of(const BlockIQ4_XS& b, Place to) {
  const __m256i at = _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14);
  __m256i high = _mm256_and_si256(_mm256_srlv_epi32(_mm256_set1_epi32(b.scales_h), at), _mm256_set1_epi32(3));
  __m256i scales = _mm256_or_si256(eight_nibbles(b.scales_l), _mm256_slli_epi32(high, 4));
  scale_words(_mm256_sub_epi32(scales, _mm256_set1_epi32(32)), half_at(b.d), to.scale);
  HEARTH_UNROLL
  for (int group = 0; group < 8; ++group) nibbles(b.qs + 16 * group, to.codes + 32 * group);
}

// Half of an E8M0 scale: 2^(e - 128), because the levels are twice what they mean.
HEARTH_INLINE void codes_of(const BlockMXFP4& b, Place to) {
  uint32_t bits = b.e < 2 ? 0x00200000u << b.e : (b.e - 1u) << 23;
  std::memcpy(to.scale, &bits, sizeof(bits));
  nibbles(b.qs, to.codes);
}

// Half of four unsigned E4M3 scales, as halves with the exponent moved by a product: floats would be subnormal, which
// is slow. The NaN pattern counts as zero.
HEARTH_INLINE void codes_of(const BlockNVFP4& b, Place to) {
  const __m128i nan = _mm_set1_epi32(0x7f);
  __m128i scales = _mm_cvtepu8_epi32(_mm_cvtsi32_si128(word_at(b.d)));
  __m128i is_zero = _mm_cmpeq_epi32(scales, nan);
  scales = _mm_slli_epi32(_mm_andnot_si128(is_zero, _mm_and_si128(scales, nan)), 7);
  __m128 halves = _mm_cvtph_ps(_mm_packus_epi32(scales, scales));
  _mm_storeu_ps(to.scale, _mm_mul_ps(halves, _mm_set1_ps(0x1p7f)));
  HEARTH_UNROLL
  for (int i = 0; i < 32; i += 16) {
    __m128i pairs = load16(b.qs + i), low = bits_of(pairs, 15), high = bits_of(_mm_srli_epi16(pairs, 4), 15);
    store16(to.codes + 2 * i, _mm_unpacklo_epi64(low, high));
    store16(to.codes + 2 * i + 16, _mm_unpackhi_epi64(low, high));
  }
}

template <class Block>
void read_blocks(const FileRows& from, int64_t n, RowCodes* out) {
  const int per_block = Block::kElements / coding(Block::kType).columns;
  for (int r = 0; r < from.rows; ++r) {
    const uint8_t* bytes = from.first + r * from.stride;
    Place to{out[r].codes, out[r].scale, out[r].min};
    for (int64_t i = 0; i < n; i += Block::kElements, bytes += sizeof(Block)) {
      codes_of(*reinterpret_cast<const Block*>(bytes), to);
      to = {to.codes + Block::kElements, to.scale + per_block, to.min + per_block};
    }
  }
}

// A codebook type's block is a whole chunk.
template <class Block, class Book>
void read_points(const FileRows& from, Book book, RowCodes* out) {
  static_assert(Block::kElements == kCodeChunk);
  for (int r = 0; r < from.rows; ++r) {
    cpu::codes_of(*reinterpret_cast<const Block*>(from.first + r * from.stride), book.data(), out[r]);
  }
}

}  // namespace

void read_rows_avx2(DType type, const FileRows& from, int64_t n, RowCodes* out) {
  switch (type) {
    case DType::kQ8_1: return read_blocks<BlockQ8_1>(from, n, out);
    case DType::kQ2_K: return read_blocks<BlockQ2_K>(from, n, out);
    case DType::kQ3_K: return read_blocks<BlockQ3_K>(from, n, out);
    case DType::kQ8_K: return read_blocks<BlockQ8_K>(from, n, out);
    case DType::kIQ1_S: return read_points<BlockIQ1_S>(from, iq1_words(), out);
    case DType::kIQ1_M: return read_points<BlockIQ1_M>(from, iq1_words(), out);
    case DType::kIQ2_XXS: return read_points<BlockIQ2_XXS>(from, iq2_xxs_grid(), out);
    case DType::kIQ2_XS: return read_points<BlockIQ2_XS>(from, iq2_xs_grid(), out);
    case DType::kIQ2_S: return read_points<BlockIQ2_S>(from, iq2_s_grid(), out);
    case DType::kIQ3_XXS: return read_points<BlockIQ3_XXS>(from, iq3_xxs_grid(), out);
    case DType::kIQ3_S: return read_points<BlockIQ3_S>(from, iq3_s_grid(), out);
    case DType::kIQ4_NL: return read_blocks<BlockIQ4_NL>(from, n, out);
    case DType::kIQ4_XS: return read_blocks<BlockIQ4_XS>(from, n, out);
    case DType::kTQ1_0: return read_blocks<BlockTQ1_0>(from, n, out);
    case DType::kTQ2_0: return read_blocks<BlockTQ2_0>(from, n, out);
    case DType::kMXFP4: return read_blocks<BlockMXFP4>(from, n, out);
    case DType::kNVFP4: return read_blocks<BlockNVFP4>(from, n, out);
    case DType::kQ1_0: return read_blocks<BlockQ1_0>(from, n, out);
    case DType::kQ2_0: return read_blocks<BlockQ2_0>(from, n, out);
    default: return hearth::read_rows(type, from, n, out);
  }
}

}  // namespace hearth::cpu
HEARTH_END_TARGET
#endif
