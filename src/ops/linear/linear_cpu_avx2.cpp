// The kernels with AVX2: two registers hold 4 columns of 16 rows. vpmaddubsw adds pairs of byte products in 16 bits, so
// only as many quads of columns are summed there as the widest code leaves room for; signed codes are multiplied as
// magnitudes with the sign moved to x.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

#include "core/tensor/tensor.h"
#include "ops/linear/cpu_kernels.h"
#include "ops/simd/target.h"

HEARTH_BEGIN_AVX2
namespace hearth::cpu {
namespace {

constexpr int kRows = rows16::kRows;
constexpr int kHalf = 8;  // rows in a register
constexpr int kRowGroup = 2;  // rows of x at a time: more would not leave registers for their sums

HEARTH_INLINE __m256i load_codes(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
HEARTH_INLINE void store_codes(void* to, __m256i codes) { _mm256_store_si256(static_cast<__m256i*>(to), codes); }
HEARTH_INLINE __m128i load16(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }
HEARTH_INLINE __m256 load_halves(const std::byte* from) { return _mm256_cvtph_ps(load16(from)); }

HEARTH_INLINE float largest_of(__m256 x) {
  __m128 y = _mm_max_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
  y = _mm_max_ps(y, _mm_movehl_ps(y, y));
  return _mm_cvtss_f32(_mm_max_ss(y, _mm_movehdup_ps(y)));
}

HEARTH_INLINE int sum_of(__m256i x) {
  __m128i y = _mm_add_epi32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
  y = _mm_add_epi32(y, _mm_shuffle_epi32(y, 0b01001110));
  return _mm_cvtsi128_si32(_mm_add_epi32(y, _mm_shuffle_epi32(y, 0b10110001)));
}

HEARTH_INLINE __m256i rounded(const float* x, __m256 inverse) {
  return _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), inverse));
}

// Sixteen values to int8; returns their sum.
HEARTH_INLINE int quantize_half(const float* x, __m256 inverse, int8_t* q) {
  __m256i a = rounded(x, inverse), b = rounded(x + kHalf, inverse);
  __m256i words = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0b11011000);
  __m128i bytes = _mm_packs_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
  _mm_store_si128(reinterpret_cast<__m128i*>(q), bytes);
  return sum_of(_mm256_add_epi32(a, b));
}

void quantize(const float* x, int64_t n, XBlock* out) {
  const __m256 magnitude = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
  for (int64_t i = 0; i < n; i += 32, ++out) {
    __m256 most = _mm256_setzero_ps();
    for (int j = 0; j < 32; j += kHalf) {
      most = _mm256_max_ps(most, _mm256_and_ps(magnitude, _mm256_loadu_ps(x + i + j)));
    }
    float largest = largest_of(most);
    __m256 inverse = _mm256_set1_ps(largest > 0 ? 127.0f / largest : 0.0f);
    int first = quantize_half(x + i, inverse, out->q), second = quantize_half(x + i + 16, inverse, out->q + 16);
    out->d = largest * (1.0f / 127.0f);
    out->d_sum = out->d * static_cast<float>(first + second);
    out->d_half_sum[0] = out->d * static_cast<float>(first);
    out->d_half_sum[1] = out->d * static_cast<float>(second);
    out->minus_sum = -(first + second);
    out->minus_half_sum[0] = -first;
    out->minus_half_sum[1] = -second;
    out->unused = 0;
  }
}

// Codes of one block of 32 columns out of the planes of rows16.h; `at` picks rows 0-7 or 8-15 of each quad.
template <int kBits>
HEARTH_INLINE void expand_block(const std::byte* low, const std::byte* high, int at, uint8_t* codes) {
  const __m256i nibble = _mm256_set1_epi8(15);
  HEARTH_UNROLL
  for (int q = 0; q < 8; ++q) {
    __m256i c;
    if constexpr (kBits == 8) {
      c = load_codes(low + q * 64 + at);
    } else {
      __m256i pair = load_codes(low + q % 4 * 64 + at);
      c = _mm256_and_si256(q < 4 ? pair : _mm256_srli_epi16(pair, 4), nibble);
    }
    if constexpr (kBits == 5) {
      __m256i plane = load_codes(high + at);
      __m256i moved = q < 4 ? _mm256_slli_epi16(plane, 4 - q % 4) : _mm256_srli_epi16(plane, q % 4);
      c = _mm256_or_si256(c, _mm256_and_si256(moved, _mm256_set1_epi8(16)));
    } else if constexpr (kBits == 6) {
      __m256i plane = load_codes(high + q / 4 * 64 + at);
      constexpr int kLeft[] = {4, 2, 0, 0};
      __m256i moved = q % 4 < 3 ? _mm256_slli_epi16(plane, kLeft[q % 4]) : _mm256_srli_epi16(plane, 2);
      c = _mm256_or_si256(c, _mm256_and_si256(moved, _mm256_set1_epi8(48)));
    }
    store_codes(codes + q * 64 + at, c);
  }
}

template <int kBits>
HEARTH_INLINE void expand_codes(const std::byte* tile, const rows16::Chunk& at, Panel& panel) {
  for (int64_t b = 0; b < at.blocks; ++b) {
    const std::byte* low = tile + at.low + b * (kBits == 8 ? 512 : 256);
    const std::byte* high = tile + at.high + b * (kBits == 6 ? 128 : 64);
    expand_block<kBits>(low, high, 0, panel.codes + b * 512);
    expand_block<kBits>(low, high, 32, panel.codes + b * 512);
  }
}

HEARTH_INLINE void expand_halves(const std::byte* from, int64_t n, float* to) {
  for (int64_t i = 0; i < n * kRows; i += kHalf) _mm256_store_ps(to + i, load_halves(from + 2 * i));
}

// to[16] = d[16] * bytes.
HEARTH_INLINE void scale_bytes(const __m256 (&d)[2], __m128i bytes, bool is_signed, float* to) {
  HEARTH_UNROLL
  for (int i = 0; i < 2; ++i) {
    __m128i of = i == 0 ? bytes : _mm_srli_si128(bytes, kHalf);
    __m256i wide = is_signed ? _mm256_cvtepi8_epi32(of) : _mm256_cvtepu8_epi32(of);
    _mm256_store_ps(to + i * kHalf, _mm256_mul_ps(d[i], _mm256_cvtepi32_ps(wide)));
  }
}

HEARTH_INLINE void expand_sub_scales(const std::byte* tile, const rows16::Chunk& at, Panel& panel) {
  const __m128i nibble = _mm_set1_epi8(15), high_bits = _mm_set1_epi8(0x30);
  const __m256 sign = _mm256_set1_ps(-0.0f);
  const __m256 d[] = {load_halves(tile + at.d), load_halves(tile + at.d + 16)};
  const __m256 minus[] = {_mm256_xor_ps(sign, load_halves(tile + at.m)),
                          _mm256_xor_ps(sign, load_halves(tile + at.m + 16))};
  for (int s = 0; s < 8; ++s) {
    __m128i low = load16(tile + at.sub + s * 16), high = load16(tile + at.sub + 128 + s / 2 * 16);
    high = _mm_and_si128(_mm_srl_epi16(high, _mm_cvtsi32_si128(s % 2 * 4)), nibble);
    __m128i scale = _mm_or_si128(_mm_and_si128(low, nibble), _mm_and_si128(_mm_slli_epi16(high, 4), high_bits));
    __m128i min =
        _mm_or_si128(_mm_and_si128(_mm_srli_epi16(low, 4), nibble), _mm_and_si128(_mm_slli_epi16(high, 2), high_bits));
    scale_bytes(d, scale, false, panel.scale + s * kRows);
    scale_bytes(minus, min, false, panel.min + s * kRows);
  }
}

HEARTH_INLINE void expand_signed_sub_scales(const std::byte* tile, const rows16::Chunk& at, Panel& panel) {
  const __m256 d[] = {load_halves(tile + at.d), load_halves(tile + at.d + 16)};
  for (int s = 0; s < 16; ++s) scale_bytes(d, load16(tile + at.sub + s * 16), true, panel.scale + s * kRows);
}

void expand(DType scheme, const std::byte* tile, const rows16::Chunk& at, Panel& panel) {
  switch (scheme) {
    case DType::kQ8_0:
    case DType::kQ8_1: expand_codes<8>(tile, at, panel); break;
    case DType::kQ6_K: expand_codes<6>(tile, at, panel); break;
    case DType::kQ5_0:
    case DType::kQ5_1:
    case DType::kQ5_K: expand_codes<5>(tile, at, panel); break;
    default: expand_codes<4>(tile, at, panel);
  }
  if (scheme == DType::kQ4_K || scheme == DType::kQ5_K) return expand_sub_scales(tile, at, panel);
  if (scheme == DType::kQ6_K) return expand_signed_sub_scales(tile, at, panel);
  expand_halves(tile + at.d, at.blocks, panel.scale);
  if (panel.coding.has_min) expand_halves(tile + at.m, at.blocks, panel.min);
}

// 8 x 8 words.
HEARTH_INLINE void transpose(const __m256i (&in)[8], __m256i (&out)[8]) {
  __m256i a[8], b[8];
  HEARTH_UNROLL
  for (int i = 0; i < 8; i += 2) {
    a[i] = _mm256_unpacklo_epi32(in[i], in[i + 1]);
    a[i + 1] = _mm256_unpackhi_epi32(in[i], in[i + 1]);
  }
  HEARTH_UNROLL
  for (int i = 0; i < 8; i += 4) {
    b[i] = _mm256_unpacklo_epi64(a[i], a[i + 2]);
    b[i + 1] = _mm256_unpackhi_epi64(a[i], a[i + 2]);
    b[i + 2] = _mm256_unpacklo_epi64(a[i + 1], a[i + 3]);
    b[i + 3] = _mm256_unpackhi_epi64(a[i + 1], a[i + 3]);
  }
  HEARTH_UNROLL
  for (int i = 0; i < 4; ++i) {
    out[i] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x20);
    out[i + 4] = _mm256_permute2x128_si256(b[i], b[i + 4], 0x31);
  }
}

// Words [16 rows][8] that lie row_size bytes apart to [8][16 rows].
HEARTH_INLINE void transpose_rows(const uint8_t* from, int64_t row_size, uint8_t* to) {
  for (int first = 0; first < kRows; first += kHalf) {
    __m256i in[8], out[8];
    HEARTH_UNROLL
    for (int r = 0; r < 8; ++r) in[r] = load_codes(from + (first + r) * row_size);
    transpose(in, out);
    HEARTH_UNROLL
    for (int i = 0; i < 8; ++i) store_codes(to + i * 64 + first * 4, out[i]);
  }
}

// 32 bytes, negated where the bits of `signs` are set.
HEARTH_INLINE __m256i negated(__m256i bytes, const uint8_t* signs) {
  int32_t word;
  std::memcpy(&word, signs, sizeof(word));
  const __m256i bit = _mm256_set1_epi64x(static_cast<int64_t>(0x8040201008040201u));
  const __m256i byte_of = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
  __m256i spread = _mm256_shuffle_epi8(_mm256_set1_epi32(word), byte_of);
  __m256i mask = _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);
  return _mm256_sub_epi8(_mm256_xor_si256(bytes, mask), mask);
}

// Codes of a block, 8 rows at a time.
HEARTH_INLINE void transpose_signed(const RowCodes* rows, int64_t block, uint8_t* to) {
  for (int first = 0; first < kRows; first += kHalf) {
    __m256i in[8], out[8];
    HEARTH_UNROLL
    for (int r = 0; r < 8; ++r) {
      const RowCodes& row = rows[first + r];
      in[r] = negated(load_codes(row.codes + block * 32), row.signs + block * 4);
    }
    transpose(in, out);
    HEARTH_UNROLL
    for (int i = 0; i < 8; ++i) store_codes(to + i * 64 + first * 4, out[i]);
  }
}

void interleave(const RowCodes* rows, Panel& panel) {
  for (int64_t b = 0; b < panel.blocks; ++b) {
    if (panel.coding.has_signs) {
      transpose_signed(rows, b, panel.codes + b * 512);
    } else {
      transpose_rows(rows->codes + b * 32, sizeof(RowCodes), panel.codes + b * 512);
    }
  }
  if (panel.coding.levels) {
    const __m256i levels = _mm256_broadcastsi128_si256(load16(panel.coding.levels));
    for (int64_t i = 0; i < panel.blocks * 512; i += 32) {
      store_codes(panel.codes + i, _mm256_shuffle_epi8(levels, load_codes(panel.codes + i)));
    }
  }
  const int64_t n_scales = panel.blocks * 32 / panel.coding.columns;
  for (int64_t s = 0; s < n_scales; s += 8) {
    transpose_rows(reinterpret_cast<const uint8_t*>(rows->scale + s), sizeof(RowCodes),
                   reinterpret_cast<uint8_t*>(panel.scale + s * kRows));
    if (!panel.coding.has_min) continue;
    transpose_rows(reinterpret_cast<const uint8_t*>(rows->min + s), sizeof(RowCodes),
                   reinterpret_cast<uint8_t*>(panel.min + s * kRows));
  }
}

HEARTH_INLINE __m256i four_of(const int8_t* q) {
  int32_t word;
  std::memcpy(&word, q, sizeof(word));
  return _mm256_set1_epi32(word);
}

// Quads whose products are summed in 16 bits: 4 x 2 x 31 x 127, 2 x 2 x 63 x 127 and 2 x 128 x 127 stay below 2^15.
constexpr int kUpTo31 = 4, kUpTo63 = 2, kSigned = 1;

template <int kRoom>
HEARTH_INLINE __m256i products(__m256i codes, __m256i x) {
  if constexpr (kRoom == kSigned) return _mm256_maddubs_epi16(_mm256_abs_epi8(codes), _mm256_sign_epi8(x, codes));
  return _mm256_maddubs_epi16(codes, x);
}

// One panel's 16 rows times kGroup rows of x: the columns of one scale.
template <int kRoom, int kQuads, int kGroup>
HEARTH_INLINE void dot_columns(const uint8_t* codes, const int8_t* x, int64_t x_stride, __m256i (&dot)[kGroup][2]) {
  const __m256i ones = _mm256_set1_epi16(1);
  HEARTH_UNROLL
  for (int first = 0; first < kQuads; first += kRoom) {
    __m256i words[kGroup][2];
    HEARTH_UNROLL
    for (int q = first; q < first + kRoom; ++q) {
      __m256i codes0 = load_codes(codes + q * 64), codes1 = load_codes(codes + q * 64 + 32);
      HEARTH_UNROLL
      for (int r = 0; r < kGroup; ++r) {
        __m256i of_x = four_of(x + r * x_stride + q * 4);
        __m256i product0 = products<kRoom>(codes0, of_x), product1 = products<kRoom>(codes1, of_x);
        words[r][0] = q == first ? product0 : _mm256_add_epi16(words[r][0], product0);
        words[r][1] = q == first ? product1 : _mm256_add_epi16(words[r][1], product1);
      }
    }
    HEARTH_UNROLL
    for (int r = 0; r < kGroup; ++r) {
      dot[r][0] = _mm256_add_epi32(dot[r][0], _mm256_madd_epi16(words[r][0], ones));
      dot[r][1] = _mm256_add_epi32(dot[r][1], _mm256_madd_epi16(words[r][1], ones));
    }
  }
}

template <int kColumns, bool kMin, int kRoom, int kGroup>
void dot_group(const Panel& panel, const XBlock* x, int64_t x_stride, float* acc) {
  constexpr int kPerBlock = 32 / kColumns;
  const __m128i zero_shift = _mm_cvtsi32_si128(__builtin_ctz(static_cast<unsigned>(panel.coding.zero) | 0x100));
  __m256 sum[kGroup][2];
  HEARTH_UNROLL
  for (int i = 0; i < kGroup * 2; ++i) sum[i / 2][i % 2] = _mm256_load_ps(acc + i / 2 * kPanelRows + i % 2 * kHalf);
  for (int64_t s = 0; s < panel.blocks * kPerBlock; ++s) {
    const XBlock* at = x + s / kPerBlock;
    const int64_t half = s % kPerBlock;
    __m256i dot[kGroup][2];
    HEARTH_UNROLL
    for (int r = 0; r < kGroup; ++r) {
      const XBlock& of = at[r * x_stride];
      __m256i start = _mm256_setzero_si256();
      if constexpr (!kMin && kRoom != kSigned) {
        start = _mm256_set1_epi32(kPerBlock == 1 ? of.minus_sum : of.minus_half_sum[half]);
        start = _mm256_sll_epi32(start, zero_shift);
      }
      dot[r][0] = dot[r][1] = start;
    }
    dot_columns<kRoom, kColumns / 4, kGroup>(panel.codes + s * kColumns * kRows, at->q + half * 16,
                                             x_stride * static_cast<int64_t>(sizeof(XBlock)), dot);
    HEARTH_UNROLL
    for (int i = 0; i < kGroup * 2; ++i) {
      const XBlock& of = at[i / 2 * x_stride];
      __m256& to = sum[i / 2][i % 2];
      const int64_t row = s * kRows + i % 2 * kHalf;
      __m256 scale = _mm256_mul_ps(_mm256_load_ps(panel.scale + row), _mm256_set1_ps(of.d));
      to = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[i / 2][i % 2]), scale, to);
      if constexpr (kMin) {
        float d_sum = kPerBlock == 1 ? of.d_sum : of.d_half_sum[half];
        to = _mm256_fmadd_ps(_mm256_load_ps(panel.min + row), _mm256_set1_ps(d_sum), to);
      }
    }
  }
  HEARTH_UNROLL
  for (int i = 0; i < kGroup * 2; ++i) _mm256_store_ps(acc + i / 2 * kPanelRows + i % 2 * kHalf, sum[i / 2][i % 2]);
}

template <int kColumns, bool kMin, int kRoom>
void dot_rows(const Panel& panel, const XBlock* x, int64_t x_stride, int64_t n_rows, float* acc) {
  for (; n_rows >= kRowGroup; n_rows -= kRowGroup, x += kRowGroup * x_stride, acc += kRowGroup * kPanelRows) {
    dot_group<kColumns, kMin, kRoom, kRowGroup>(panel, x, x_stride, acc);
  }
  if (n_rows > 0) dot_group<kColumns, kMin, kRoom, 1>(panel, x, x_stride, acc);
}

template <int kColumns, bool kMin>
void dot_panel(const Panel& panel, const XBlock* x, int64_t x_stride, int64_t n_rows, float* acc) {
  if (panel.coding.is_signed) return dot_rows<kColumns, kMin, kSigned>(panel, x, x_stride, n_rows, acc);
  if (panel.coding.max_code <= 31) return dot_rows<kColumns, kMin, kUpTo31>(panel, x, x_stride, n_rows, acc);
  return dot_rows<kColumns, kMin, kUpTo63>(panel, x, x_stride, n_rows, acc);
}

void dot(const Panel* panels, const XBlock* x, int64_t x_stride, int64_t n_rows, float* acc) {
  for (int t = 0; t < kTiles; ++t, acc += kRows) {
    const Panel& panel = panels[t];
    if (panel.coding.columns == 32) {
      panel.coding.has_min ? dot_panel<32, true>(panel, x, x_stride, n_rows, acc)
                           : dot_panel<32, false>(panel, x, x_stride, n_rows, acc);
    } else {
      panel.coding.has_min ? dot_panel<16, true>(panel, x, x_stride, n_rows, acc)
                           : dot_panel<16, false>(panel, x, x_stride, n_rows, acc);
    }
  }
}

// E5M2 is the upper byte of a half. E4M3 has the exponent's place one bit lower and a bias that is 8 less.
template <DType kScheme>
HEARTH_INLINE __m256 load_f8(const std::byte* from) {
  __m128i bits = _mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
  if constexpr (kScheme == DType::kF8E5M2) return _mm256_cvtph_ps(_mm_slli_epi16(bits, 8));
  bits = _mm_and_si128(_mm_slli_epi16(bits, 7), _mm_set1_epi16(static_cast<int16_t>(0xbfff)));
  __m128i is_nan = _mm_cmpeq_epi16(_mm_and_si128(bits, _mm_set1_epi16(0x7fff)), _mm_set1_epi16(0x3f80));
  return _mm256_mul_ps(_mm256_cvtph_ps(_mm_or_si128(bits, is_nan)), _mm256_set1_ps(0x1p8f));
}

template <DType kScheme>
HEARTH_INLINE __m256 load_floats(const std::byte* from) {
  if constexpr (kScheme == DType::kF8E4M3 || kScheme == DType::kF8E5M2) return load_f8<kScheme>(from);
  if constexpr (kScheme == DType::kF16) return load_halves(from);
  if constexpr (kScheme == DType::kF32) return _mm256_loadu_ps(reinterpret_cast<const float*>(from));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(load16(from)), 16));
}

template <DType kScheme, int kBytes>
void expand_floats(const std::byte* chunk, int64_t columns, float* w) {
  for (int64_t i = 0; i < columns; ++i) {
    const std::byte* from = chunk + i * kBytes * kRows;
    _mm256_store_ps(w + i * kRows, load_floats<kScheme>(from));
    _mm256_store_ps(w + i * kRows + kHalf, load_floats<kScheme>(from + kBytes * kHalf));
  }
}

void expand_float(DType scheme, const std::byte* chunk, int64_t columns, float* w) {
  switch (scheme) {
    case DType::kF16: return expand_floats<DType::kF16, 2>(chunk, columns, w);
    case DType::kBF16: return expand_floats<DType::kBF16, 2>(chunk, columns, w);
    case DType::kF8E4M3: return expand_floats<DType::kF8E4M3, 1>(chunk, columns, w);
    case DType::kF8E5M2: return expand_floats<DType::kF8E5M2, 1>(chunk, columns, w);
    default: return expand_floats<DType::kF32, 4>(chunk, columns, w);
  }
}

}  // namespace

constinit const LinearKernels kLinearAvx2{quantize, expand, read_rows_avx2, interleave, dot, expand_float};

}  // namespace hearth::cpu
HEARTH_END_TARGET
#endif
