// The codebook formats of read_rows_avx2(): indices are put together as vectors and looked up one by one. Include
// inside an AVX2 region, after row_codes_signs_avx2.h.
#pragma once

namespace hearth::cpu {
namespace {

/// Makes indices be read back from memory. Compilers that see through would take them out of the vector, which is two
/// micro-operations each instead of one.
template <class Indices>
HEARTH_INLINE void put_in_memory(Indices& indices) {
  asm("" : "+m"(indices));
}

/// The points of a block, `index_of(group of 32, i)` being the i-th index of a group.
template <class Point, class IndexOf>
HEARTH_INLINE void put_points(const Point* grid, IndexOf index_of, uint8_t* codes) {
  HEARTH_UNROLL
  for (int group = 0; group < 8; ++group) {
    HEARTH_UNROLL
    for (int half = 0; half < 2; ++half, codes += 16) {
      if constexpr (sizeof(Point) == 8) {
        __m128i first = load8(&grid[index_of(group, 2 * half)]);
        store16(codes, _mm_unpacklo_epi64(first, load8(&grid[index_of(group, 2 * half + 1)])));
      } else {
        auto point = [&](int i) { return word_at(&grid[index_of(group, 4 * half + i)]); };
        __m128i four = _mm_insert_epi32(_mm_cvtsi32_si128(point(0)), point(1), 1);
        store16(codes, _mm_insert_epi32(_mm_insert_epi32(four, point(2), 2), point(3), 3));
      }
    }
  }
}

/// Sixteen bytes as words.
HEARTH_INLINE __m256i wide(const uint8_t* bytes) { return _mm256_cvtepu8_epi16(load16(bytes)); }

HEARTH_INLINE void codes_of(const quant::BlockIQ2_XXS& b, const quant::Point8* grid, RowCodes& out) {
  put_points(grid, [&](int group, int i) { return b.qs[8 * group + i]; }, out.codes);
  finish(b, out);
}

HEARTH_INLINE void codes_of(const quant::BlockIQ2_XS& b, const quant::Point8* grid, RowCodes& out) {
  put_points(grid, [&](int group, int i) { return b.qs[4 * group + i] & 511u; }, out.codes);
  finish(b, out);
}

/// The index bits above 8: words times powers of two, each bringing its own bits to where the mask is.
HEARTH_INLINE __m256i high_bits(__m256i words, __m256i powers, int mask) {
  return _mm256_and_si256(_mm256_mullo_epi16(words, powers), _mm256_set1_epi16(static_cast<int16_t>(mask)));
}

HEARTH_INLINE void codes_of(const quant::BlockIQ2_S& b, const quant::Point8* grid, RowCodes& out) {
  const __m256i powers = _mm256_set1_epi64x(4ll << 48 | 16ll << 32 | 64 << 16 | 256);
  const __m256i fourfold = _mm256_broadcastsi128_si256(
      _mm_setr_epi8(0, -1, 0, -1, 0, -1, 0, -1, 8, -1, 8, -1, 8, -1, 8, -1));
  alignas(32) uint16_t index[32];
  HEARTH_UNROLL
  for (int half = 0; half < 2; ++half) {
    __m256i high = _mm256_shuffle_epi8(_mm256_cvtepu8_epi64(_mm_cvtsi32_si128(word_at(b.qh + 4 * half))), fourfold);
    store32(index + 16 * half, _mm256_or_si256(wide(b.qs + 16 * half), high_bits(high, powers, 0x300)));
  }
  put_in_memory(index);
  put_points(grid, [&](int group, int i) { return index[4 * group + i]; }, out.codes);
  finish(b, out);
}

HEARTH_INLINE void codes_of(const quant::BlockIQ3_XXS& b, const quant::Point4* grid, RowCodes& out) {
  put_points(grid, [&](int group, int i) { return b.qs[8 * group + i]; }, out.codes);
  finish(b, out);
}

HEARTH_INLINE void codes_of(const quant::BlockIQ3_S& b, const quant::Point4* grid, RowCodes& out) {
  const __m256i powers = _mm256_broadcastsi128_si256(_mm_setr_epi16(256, 128, 64, 32, 16, 8, 4, 2));
  const __m256i eightfold = _mm256_setr_m128i(_mm_set1_epi16(static_cast<int16_t>(0x8000)),
                                              _mm_set1_epi16(static_cast<int16_t>(0x8001)));
  const __m256i bytes = _mm256_broadcastq_epi64(load8(b.qh));
  alignas(32) uint16_t index[64];
  HEARTH_UNROLL
  for (int i = 0; i < 4; ++i) {
    __m256i from = _mm256_add_epi16(eightfold, _mm256_set1_epi16(static_cast<int16_t>(2 * i)));
    __m256i high = _mm256_shuffle_epi8(bytes, from);
    store32(index + 16 * i, _mm256_or_si256(wide(b.qs + 16 * i), high_bits(high, powers, 0x100)));
  }
  put_in_memory(index);
  put_points(grid, [&](int group, int i) { return index[8 * group + i]; }, out.codes);
  finish(b, out);
}

/// Points of IQ1 by their index, less two eighths where `negative` is 1.
HEARTH_INLINE void put_shifted(const uint64_t* words, const uint16_t (&index)[32], const uint16_t (&negative)[32],
                               uint8_t* codes) {
  static constexpr uint64_t kLess[2] = {0, kIq1Twos};
  HEARTH_UNROLL
  for (int group = 0; group < 8; ++group) {
    HEARTH_UNROLL
    for (int run = 4 * group; run < 4 * group + 4; ++run, codes += 8) {
      uint64_t word = words[index[run]] - kLess[negative[run]];
      std::memcpy(codes, &word, sizeof(word));
    }
  }
}

HEARTH_INLINE void codes_of(const quant::BlockIQ1_S& b, const uint64_t* words, RowCodes& out) {
  // Rotating left by 8, 5, 2 and 15 brings the three bits of each run to bits 8 to 10.
  const __m256i powers = _mm256_set1_epi64x(static_cast<int64_t>(uint64_t{0x8000} << 48 | 4ull << 32 | 32 << 16 | 256));
  const __m256i fourfold = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 0, 1, 0, 1, 0, 1, 8, 9, 8, 9, 8, 9, 8, 9));
  alignas(32) uint16_t index[32], negative[32];
  HEARTH_UNROLL
  for (int half = 0; half < 2; ++half) {
    __m256i high = _mm256_shuffle_epi8(_mm256_cvtepu16_epi64(load8(b.qh + 4 * half)), fourfold);
    __m256i turned = _mm256_or_si256(_mm256_mullo_epi16(high, powers), _mm256_mulhi_epu16(high, powers));
    turned = _mm256_and_si256(turned, _mm256_set1_epi16(0x700));
    store32(index + 16 * half, _mm256_or_si256(wide(b.qs + 16 * half), turned));
    store32(negative + 16 * half, _mm256_srli_epi16(high, 15));
  }
  put_in_memory(index);
  put_in_memory(negative);
  put_shifted(words, index, negative, out.codes);
  finish(b, out);
}

HEARTH_INLINE void codes_of(const quant::BlockIQ1_M& b, const uint64_t* words, RowCodes& out) {
  const __m256i powers = _mm256_set1_epi32(16 << 16 | 256);
  const __m128i high = load16(b.qh);
  alignas(32) uint16_t index[32], negative[32];
  HEARTH_UNROLL
  for (int half = 0; half < 2; ++half) {
    __m128i twofold = half == 0 ? _mm_unpacklo_epi8(high, high) : _mm_unpackhi_epi8(high, high);
    __m256i nibbles = _mm256_mullo_epi16(_mm256_cvtepu8_epi16(twofold), powers);  // at bit 8
    __m256i bits = _mm256_and_si256(nibbles, _mm256_set1_epi16(0x700));
    store32(index + 16 * half, _mm256_or_si256(wide(b.qs + 16 * half), bits));
    store32(negative + 16 * half, _mm256_and_si256(_mm256_srli_epi16(nibbles, 11), _mm256_set1_epi16(1)));
  }
  put_in_memory(index);
  put_in_memory(negative);
  put_shifted(words, index, negative, out.codes);
  finish(b, out);
}

}  // namespace
}  // namespace hearth::cpu
