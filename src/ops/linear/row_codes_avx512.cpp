// read_rows() of the codebook formats with AVX-512; AVX2 does for the others. A codebook is kept as words of 2 or 4
// bits an element, which index its few levels, so that two-register permutes look 32 points up at once without going
// through memory. One permute reads 64 points; larger codebooks are halved until it fits.
#if defined(__x86_64__)
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "ops/linear/byte_words.h"
#include "ops/linear/cpu_kernels.h"
#include "ops/linear/row_codes_iq.h"
#include "ops/quant/blocks.h"
#include "ops/quant/iq_grids.h"
#include "ops/simd/target.h"

namespace hearth::cpu {
namespace {

template <size_t N>
struct Book {
  alignas(64) uint16_t points[N];
  alignas(16) int8_t levels[16];
};

/// The codebook of a grid whose values are among `levels`.
template <size_t N, class Point, size_t kLevels>
Book<N> make_book(std::span<const Point> grid, const int8_t (&levels)[kLevels]) {
  constexpr size_t kBits = 16 / sizeof(Point);
  Book<N> book{};
  for (size_t i = 0; i < N; ++i) {
    for (size_t j = 0; j < grid[i].size(); ++j) {
      auto level = std::find(levels, levels + kLevels, grid[i][j]) - levels;
      book.points[i] = static_cast<uint16_t>(book.points[i] | level << kBits * j);
    }
  }
  std::copy_n(levels, kLevels, book.levels);
  return book;
}

constexpr int8_t kIq1Levels[] = {-1, 0, 1}, kIq2Levels[] = {8, 25, 43};
constexpr int8_t kIq3XxsLevels[] = {4, 12, 20, 28, 36, 44, 52, 62}, kIq3SLevels[] = {1, 3, 5, 7, 9, 11, 13, 15};

// The levels are codes here: eighths plus one, above the zero.
const Book<2048>& iq1_book() {
  static const Book<2048> book = [] {
    Book<2048> made = make_book<2048>(quant::iq1_grid(), kIq1Levels);
    for (int8_t& level : made.levels) level = static_cast<int8_t>(8 * level + 1 + kIq1Zero);
    return made;
  }();
  return book;
}
const Book<256>& iq2_xxs_book() {
  static const Book<256> book = make_book<256>(quant::iq2_xxs_grid(), kIq2Levels);
  return book;
}
const Book<512>& iq2_xs_book() {
  static const Book<512> book = make_book<512>(quant::iq2_xs_grid(), kIq2Levels);
  return book;
}
const Book<1024>& iq2_s_book() {
  static const Book<1024> book = make_book<1024>(quant::iq2_s_grid(), kIq2Levels);
  return book;
}
const Book<256>& iq3_xxs_book() {
  static const Book<256> book = make_book<256>(quant::iq3_xxs_grid(), kIq3XxsLevels);
  return book;
}
const Book<512>& iq3_s_book() {
  static const Book<512> book = make_book<512>(quant::iq3_s_grid(), kIq3SLevels);
  return book;
}

}  // namespace
}  // namespace hearth::cpu

HEARTH_BEGIN_AVX512
//
#include "ops/linear/row_codes_avx2.h"
//
#include "ops/linear/row_codes_signs_avx2.h"

namespace hearth::cpu {
namespace {

using namespace quant;

HEARTH_INLINE __m512i load64(const void* from) { return _mm512_loadu_si512(from); }
HEARTH_INLINE __m512i wide(const uint8_t* bytes) { return _mm512_cvtepu8_epi16(load32(bytes)); }
HEARTH_INLINE __m512i words_of(int value) { return _mm512_set1_epi16(static_cast<int16_t>(value)); }
HEARTH_INLINE __m512i in_each_lane(__m128i lane) { return _mm512_broadcast_i32x4(lane); }

template <int kPoints>
HEARTH_INLINE __m512i look_up(const uint16_t* points, __m512i index) {
  if constexpr (kPoints == 64) {
    return _mm512_permutex2var_epi16(load64(points), index, load64(points + 32));
  } else {
    __m512i low = look_up<kPoints / 2>(points, index), high = look_up<kPoints / 2>(points + kPoints / 2, index);
    return _mm512_mask_mov_epi16(low, _mm512_test_epi16_mask(index, words_of(kPoints / 2)), high);
  }
}

HEARTH_INLINE __m512i bits_of(__m512i words, int mask) {
  return _mm512_and_si512(words, _mm512_set1_epi8(static_cast<char>(mask)));
}

/// Unpacking works within lanes, so pairs of points are first put where it will leave them in order.
HEARTH_INLINE __m512i for_unpacking(__m512i index) {
  return _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15), index);
}

/// Codes of 32 points of eight, given as words in the order for_unpacking(); two less in points where `less` is set.
template <bool kHasLess>
HEARTH_INLINE void put_eights(__m512i words, const int8_t* book_levels, __mmask32 less, uint8_t* codes) {
  const __m512i levels = in_each_lane(load16(book_levels)), twos = _mm512_set1_epi8(2);
  __m512i a = bits_of(words, 3), b = bits_of(_mm512_srli_epi16(words, 2), 3);
  __m512i c = bits_of(_mm512_srli_epi16(words, 4), 3), d = bits_of(_mm512_srli_epi16(words, 6), 3);
  __m512i ab[] = {_mm512_unpacklo_epi8(a, b), _mm512_unpackhi_epi8(a, b)};
  __m512i cd[] = {_mm512_unpacklo_epi8(c, d), _mm512_unpackhi_epi8(c, d)};
  HEARTH_UNROLL
  for (int i = 0; i < 4; ++i) {
    __m512i of = i % 2 == 0 ? _mm512_unpacklo_epi16(ab[i / 2], cd[i / 2]) : _mm512_unpackhi_epi16(ab[i / 2], cd[i / 2]);
    of = _mm512_shuffle_epi8(levels, of);
    if constexpr (kHasLess) of = _mm512_mask_sub_epi64(of, static_cast<__mmask8>(less >> 8 * i), of, twos);
    _mm512_storeu_si512(codes + 64 * i, of);
  }
}

template <size_t N>
HEARTH_INLINE void put_eights(const Book<N>& book, __m512i index, uint8_t* codes) {
  put_eights<false>(look_up<N>(book.points, for_unpacking(index)), book.levels, 0, codes);
}

/// 32 points of four, half a block.
template <size_t N>
HEARTH_INLINE void put_fours(const Book<N>& book, __m512i index, uint8_t* codes) {
  const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7), levels = in_each_lane(load16(book.levels));
  __m512i words = look_up<N>(book.points, _mm512_permutexvar_epi64(order, index));
  __m512i even = bits_of(words, 15), odd = bits_of(_mm512_srli_epi16(words, 4), 15);
  _mm512_storeu_si512(codes, _mm512_shuffle_epi8(levels, _mm512_unpacklo_epi8(even, odd)));
  _mm512_storeu_si512(codes + 64, _mm512_shuffle_epi8(levels, _mm512_unpackhi_epi8(even, odd)));
}

HEARTH_INLINE void points_of(const BlockIQ2_XXS& b, const Book<256>& book, uint8_t* codes) {
  __m256i indices = _mm512_cvtepi64_epi32(load64(b.qs));  // every other word
  put_eights(book, _mm512_cvtepu8_epi16(indices), codes);
}

HEARTH_INLINE void points_of(const BlockIQ2_XS& b, const Book<512>& book, uint8_t* codes) {
  put_eights(book, _mm512_and_si512(load64(b.qs), words_of(511)), codes);
}

/// Index bits from 8 on: each word shifted left by its own count.
HEARTH_INLINE __m512i high_bits(__m512i words, __m128i counts, int mask) {
  return _mm512_and_si512(_mm512_sllv_epi16(words, in_each_lane(counts)), words_of(mask));
}

HEARTH_INLINE void points_of(const BlockIQ2_S& b, const Book<1024>& book, uint8_t* codes) {
  const __m128i fourfold = _mm_setr_epi8(0, -1, 0, -1, 0, -1, 0, -1, 8, -1, 8, -1, 8, -1, 8, -1);
  __m512i high = _mm512_shuffle_epi8(_mm512_cvtepu8_epi64(load8(b.qh)), in_each_lane(fourfold));
  high = high_bits(high, _mm_setr_epi16(8, 6, 4, 2, 8, 6, 4, 2), 0x300);
  put_eights(book, _mm512_or_si512(wide(b.qs), high), codes);
}

HEARTH_INLINE void points_of(const BlockIQ3_XXS& b, const Book<256>& book, uint8_t* codes) {
  put_fours(book, wide(b.qs), codes);
  put_fours(book, wide(b.qs + 32), codes + 128);
}

/// A shuffle that makes eight words of byte `i`.
HEARTH_INLINE __m128i words_from(int i) { return _mm_set1_epi16(static_cast<int16_t>(0x8000 | i)); }

HEARTH_INLINE void points_of(const BlockIQ3_S& b, const Book<512>& book, uint8_t* codes) {
  const __m512i eightfold =
      _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_setr_m128i(words_from(0), words_from(1))),
                         _mm256_setr_m128i(words_from(2), words_from(3)), 1);
  HEARTH_UNROLL
  for (int i = 0; i < 2; ++i) {
    __m512i high = _mm512_shuffle_epi8(_mm512_set1_epi32(word_at(b.qh + 4 * i)), eightfold);
    high = high_bits(high, _mm_setr_epi16(8, 7, 6, 5, 4, 3, 2, 1), 0x100);
    put_fours(book, _mm512_or_si512(wide(b.qs + 32 * i), high), codes + 128 * i);
  }
}

/// 32 points of a large codebook, and which of them stand lower.
struct Points {
  __m512i index;
  __mmask32 less;
};

HEARTH_INLINE Points points_of(const BlockIQ1_S& b) {
  const __m128i fourfold = _mm_setr_epi8(0, 1, 0, 1, 0, 1, 0, 1, 8, 9, 8, 9, 8, 9, 8, 9);
  __m512i words = _mm512_shuffle_epi8(_mm512_cvtepu16_epi64(load16(b.qh)), in_each_lane(fourfold));
  // The last of four runs has its bits above their place, the others below; counts of 16 leave nothing.
  __m512i above = _mm512_srlv_epi16(words, in_each_lane(_mm_setr_epi16(16, 16, 16, 1, 16, 16, 16, 1)));
  __m512i high = _mm512_or_si512(high_bits(words, _mm_setr_epi16(8, 5, 2, 16, 8, 5, 2, 16), 0x700),
                                 _mm512_and_si512(above, words_of(0x700)));
  return {_mm512_or_si512(wide(b.qs), high), _mm512_movepi16_mask(words)};
}

HEARTH_INLINE Points points_of(const BlockIQ1_M& b) {
  __m256i twofold = _mm256_mullo_epi16(_mm256_cvtepu8_epi16(load16(b.qh)), _mm256_set1_epi16(0x101));
  __m512i words = _mm512_sllv_epi16(_mm512_cvtepu8_epi16(twofold), _mm512_set1_epi32(4 << 16 | 8));
  __m512i high = _mm512_and_si512(words, words_of(0x700));
  return {_mm512_or_si512(wide(b.qs), high), _mm512_test_epi16_mask(words, words_of(0x800))};
}

/// 2048 points are too many for permutes: they are read one by one. Each stage passes over all rows before the
/// next one begins, so that no wide load waits for the narrow stores before it.
template <class Block, size_t N>
void read_one_by_one(const FileRows& from, const Book<N>& book, RowCodes* out) {
  alignas(64) uint16_t words[rows16::kRows * 32];
  __mmask32 less[rows16::kRows];
  auto block = [&](int r) -> const Block& { return *reinterpret_cast<const Block*>(from.first + r * from.stride); };
  for (int r = 0; r < from.rows; ++r) {
    const Points points = points_of(block(r));
    _mm512_store_si512(words + 32 * r, for_unpacking(points.index));
    less[r] = points.less;
  }
  for (int i = 0; i < from.rows * 32; i += 4) {
    uint64_t four;
    std::memcpy(&four, words + i, sizeof(four));
    four = book.points[four & 0xFFFF] | uint64_t{book.points[four >> 16 & 0xFFFF]} << 16 |
           uint64_t{book.points[four >> 32 & 0xFFFF]} << 32 | uint64_t{book.points[four >> 48]} << 48;
    std::memcpy(words + i, &four, sizeof(four));
  }
  for (int r = 0; r < from.rows; ++r) {
    put_eights<(N == 2048)>(load64(words + 32 * r), book.levels, less[r], out[r].codes);
    finish(block(r), out[r]);
  }
}

template <class Block, class Codebook>
void read_points(const FileRows& from, const Codebook& book, RowCodes* out) {
  static_assert(Block::kElements == kCodeChunk);
  for (int r = 0; r < from.rows; ++r) {
    const auto& block = *reinterpret_cast<const Block*>(from.first + r * from.stride);
    points_of(block, book, out[r].codes);
    finish(block, out[r]);
  }
}

}  // namespace

void read_rows_avx512(DType type, const FileRows& from, int64_t n, RowCodes* out) {
  switch (type) {
    case DType::kIQ1_S: return read_one_by_one<BlockIQ1_S>(from, iq1_book(), out);
    case DType::kIQ1_M: return read_one_by_one<BlockIQ1_M>(from, iq1_book(), out);
    case DType::kIQ2_XXS: return read_points<BlockIQ2_XXS>(from, iq2_xxs_book(), out);
    case DType::kIQ2_XS: return read_points<BlockIQ2_XS>(from, iq2_xs_book(), out);
    case DType::kIQ2_S: return read_points<BlockIQ2_S>(from, iq2_s_book(), out);
    case DType::kIQ3_XXS: return read_points<BlockIQ3_XXS>(from, iq3_xxs_book(), out);
    case DType::kIQ3_S: return read_points<BlockIQ3_S>(from, iq3_s_book(), out);
    default: return read_rows_avx2(type, from, n, out);
  }
}

}  // namespace hearth::cpu
HEARTH_END_TARGET
#endif
