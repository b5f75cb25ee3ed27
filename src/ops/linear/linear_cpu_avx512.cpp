// The kernels with AVX-512 and its byte dot product: one register holds 4 columns of 16 rows, vpdpbusd multiplies them
// with four values of x broadcast to every row. Signed codes are offset by 128, because the instruction takes its left
// bytes as unsigned; the offset leaves through the integer sum of x, so nothing is rounded.
#if defined(__x86_64__)
#include <immintrin.h>

#include <cstring>

#include "core/tensor/tensor.h"
#include "ops/linear/cpu_kernels.h"
#include "ops/simd/target.h"

HEARTH_BEGIN_AVX512
namespace hearth::cpu {
namespace {

constexpr int kRows = rows16::kRows;
constexpr int kRowGroup = 6;     // rows of x at a time: 12 integer and 12 float sums of the 32 registers

HEARTH_INLINE __m512i load_codes(const void* from) { return _mm512_loadu_si512(from); }
HEARTH_INLINE void store_codes(uint8_t* to, __m512i codes) { _mm512_store_si512(to, codes); }
HEARTH_INLINE __m512 load_halves(const std::byte* from) {
  return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
HEARTH_INLINE __m512 bytes_to_floats(__m128i bytes) { return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(bytes)); }
HEARTH_INLINE __m128i load16(const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); }

void quantize(const float* x, int64_t n, XBlock* out) {
  for (int64_t i = 0; i < n; i += 32, ++out) {
    __m512 a = _mm512_loadu_ps(x + i), b = _mm512_loadu_ps(x + i + 16);
    float largest = _mm512_reduce_max_ps(_mm512_max_ps(_mm512_abs_ps(a), _mm512_abs_ps(b)));
    __m512 inverse = _mm512_set1_ps(largest > 0 ? 127.0f / largest : 0.0f);
    __m128i qa = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(a, inverse)));
    __m128i qb = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(_mm512_mul_ps(b, inverse)));
    // Sums of fours, then of all: lanes 0 and 1 end up with the halves' sums.
    __m128i ones = _mm_set1_epi8(1), zero = _mm_setzero_si128();
    __m128i halves = _mm_hadd_epi32(_mm_dpbusd_epi32(zero, ones, qa), _mm_dpbusd_epi32(zero, ones, qb));
    halves = _mm_hadd_epi32(halves, halves);
    __m128i sums = _mm_shuffle_epi32(_mm_hadd_epi32(halves, halves), 0);  // of both
    sums = _mm_unpacklo_epi64(_mm_unpacklo_epi32(sums, halves), _mm_srli_si128(halves, 4));  // all, first, second
    float d = largest * (1.0f / 127.0f);
    _mm_store_si128(reinterpret_cast<__m128i*>(out->q), qa);
    _mm_store_si128(reinterpret_cast<__m128i*>(out->q + 16), qb);
    __m128 d_sums = _mm_mul_ps(_mm_set1_ps(d), _mm_cvtepi32_ps(sums));
    _mm_store_ps(&out->d, _mm_move_ss(_mm_shuffle_ps(d_sums, d_sums, _MM_SHUFFLE(2, 1, 0, 0)), _mm_set_ss(d)));
    _mm_store_si128(reinterpret_cast<__m128i*>(&out->minus_sum), _mm_sub_epi32(zero, sums));
  }
}

// Codes of one block of 32 columns out of the planes of rows16.h.
template <int kBits>
HEARTH_INLINE void expand_block(const std::byte* low, const std::byte* high, uint8_t* codes) {
  const __m512i nibble = _mm512_set1_epi8(15);
  HEARTH_UNROLL
  for (int q = 0; q < 8; ++q) {
    __m512i c;
    if constexpr (kBits == 8) {
      c = _mm512_xor_si512(load_codes(low + q * 64), _mm512_set1_epi8(static_cast<char>(0x80)));
    } else {
      __m512i pair = load_codes(low + q % 4 * 64);
      c = _mm512_and_si512(q < 4 ? pair : _mm512_srli_epi16(pair, 4), nibble);
    }
    if constexpr (kBits == 5) {
      __m512i plane = load_codes(high);  // bit q of each byte goes to bit 4
      __m512i moved = q < 4 ? _mm512_slli_epi16(plane, 4 - q % 4) : _mm512_srli_epi16(plane, q % 4);
      c = _mm512_or_si512(c, _mm512_and_si512(moved, _mm512_set1_epi8(16)));
    } else if constexpr (kBits == 6) {
      __m512i plane = load_codes(high + q / 4 * 64);  // bits 2q and 2q+1 go to 4 and 5
      constexpr int kLeft[] = {4, 2, 0, 0};
      __m512i moved = q % 4 < 3 ? _mm512_slli_epi16(plane, kLeft[q % 4]) : _mm512_srli_epi16(plane, 2);
      c = _mm512_or_si512(c, _mm512_and_si512(moved, _mm512_set1_epi8(48)));
    }
    store_codes(codes + q * 64, c);
  }
}

template <int kBits>
HEARTH_INLINE void expand_codes(const std::byte* tile, const rows16::Chunk& at, Panel& panel) {
  for (int64_t b = 0; b < at.blocks; ++b) {
    expand_block<kBits>(tile + at.low + b * (kBits == 8 ? 512 : 256), tile + at.high + b * (kBits == 6 ? 128 : 64),
                        panel.codes + b * 512);
  }
}

HEARTH_INLINE void expand_halves(const std::byte* from, int64_t n, float* to) {
  for (int64_t b = 0; b < n; ++b) _mm512_store_ps(to + b * kRows, load_halves(from + b * 2 * kRows));
}

// Q4_K and Q5_K: sub-scales of 6 bits times the halves d and dmin.
HEARTH_INLINE void expand_sub_scales(const std::byte* tile, const rows16::Chunk& at, Panel& panel) {
  const __m128i nibble = _mm_set1_epi8(15), high_bits = _mm_set1_epi8(0x30);
  __m512 d = load_halves(tile + at.d), dmin = _mm512_sub_ps(_mm512_setzero_ps(), load_halves(tile + at.m));
  for (int s = 0; s < 8; ++s) {
    __m128i low = load16(tile + at.sub + s * 16), high = load16(tile + at.sub + 128 + s / 2 * 16);
    high = _mm_and_si128(_mm_srl_epi16(high, _mm_cvtsi32_si128(s % 2 * 4)), nibble);
    __m128i scale = _mm_or_si128(_mm_and_si128(low, nibble), _mm_and_si128(_mm_slli_epi16(high, 4), high_bits));
    __m128i min =
        _mm_or_si128(_mm_and_si128(_mm_srli_epi16(low, 4), nibble), _mm_and_si128(_mm_slli_epi16(high, 2), high_bits));
    _mm512_store_ps(panel.scale + s * kRows, _mm512_mul_ps(d, bytes_to_floats(scale)));
    _mm512_store_ps(panel.min + s * kRows, _mm512_mul_ps(dmin, bytes_to_floats(min)));
  }
}

HEARTH_INLINE void expand_signed_sub_scales(const std::byte* tile, const rows16::Chunk& at, Panel& panel) {
  __m512 d = load_halves(tile + at.d);
  for (int s = 0; s < 16; ++s) {
    __m512i scale = _mm512_cvtepi8_epi32(load16(tile + at.sub + s * 16));
    _mm512_store_ps(panel.scale + s * kRows, _mm512_mul_ps(d, _mm512_cvtepi32_ps(scale)));
  }
}

void make_unsigned(Coding& coding) {
  if (!coding.is_signed) return;
  coding.is_signed = false;
  coding.zero = 128;
}

void expand(DType scheme, const std::byte* tile, const rows16::Chunk& at, Panel& panel) {
  make_unsigned(panel.coding);
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

// 16 x 16 words: the four-column quads of 16 rows change places with the rows.
HEARTH_INLINE void transpose(const __m512i (&in)[16], __m512i (&out)[16]) {
  __m512i a[16], b[16];
  HEARTH_UNROLL
  for (int i = 0; i < 16; i += 2) {
    a[i] = _mm512_unpacklo_epi32(in[i], in[i + 1]);
    a[i + 1] = _mm512_unpackhi_epi32(in[i], in[i + 1]);
  }
  HEARTH_UNROLL
  for (int i = 0; i < 16; i += 4) {
    b[i] = _mm512_unpacklo_epi64(a[i], a[i + 2]);
    b[i + 1] = _mm512_unpackhi_epi64(a[i], a[i + 2]);
    b[i + 2] = _mm512_unpacklo_epi64(a[i + 1], a[i + 3]);
    b[i + 3] = _mm512_unpackhi_epi64(a[i + 1], a[i + 3]);
  }
  // b[4g + j] holds, in 128-bit lane l, column 4l + j of rows 4g to 4g + 3.
  HEARTH_UNROLL
  for (int j = 0; j < 4; ++j) {
    __m512i low01 = _mm512_shuffle_i32x4(b[j], b[4 + j], 0x44), high01 = _mm512_shuffle_i32x4(b[j], b[4 + j], 0xee);
    __m512i low23 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0x44);
    __m512i high23 = _mm512_shuffle_i32x4(b[8 + j], b[12 + j], 0xee);
    out[j] = _mm512_shuffle_i32x4(low01, low23, 0x88);
    out[4 + j] = _mm512_shuffle_i32x4(low01, low23, 0xdd);
    out[8 + j] = _mm512_shuffle_i32x4(high01, high23, 0x88);
    out[12 + j] = _mm512_shuffle_i32x4(high01, high23, 0xdd);
  }
}

HEARTH_INLINE void transpose_scales(const RowCodes* rows, const float* first, float* to) {
  const int64_t offset = first - reinterpret_cast<const float*>(rows);
  __m512i in[16], out[16];
  HEARTH_UNROLL
  for (int r = 0; r < 16; ++r) in[r] = load_codes(reinterpret_cast<const float*>(rows + r) + offset);
  transpose(in, out);
  HEARTH_UNROLL
  for (int s = 0; s < 16; ++s) _mm512_store_si512(to + s * kRows, out[s]);
}

enum class Finish { kNone, kLevels, kSigns };  // what row_codes.h leaves to do

template <Finish kFinish>
HEARTH_INLINE void interleave_codes(const RowCodes* rows, __m512i flip, __m512i levels, Panel& panel) {
  for (int64_t begin = 0; begin < panel.blocks * 32; begin += 64) {  // RowCodes is longer than the last odd block
    __m512i in[16], out[16];
    HEARTH_UNROLL
    for (int r = 0; r < 16; ++r) {
      in[r] = load_codes(rows[r].codes + begin);
      if constexpr (kFinish == Finish::kLevels) in[r] = _mm512_shuffle_epi8(levels, in[r]);
      if constexpr (kFinish == Finish::kSigns) {
        uint64_t signs;
        std::memcpy(&signs, rows[r].signs + begin / 8, sizeof(signs));
        in[r] = _mm512_mask_sub_epi8(in[r], signs, _mm512_setzero_si512(), in[r]);
      }
      in[r] = _mm512_xor_si512(in[r], flip);
    }
    transpose(in, out);
    HEARTH_UNROLL
    for (int q = 0; q < 16; ++q) store_codes(panel.codes + begin * kRows + q * 64, out[q]);
  }
}

void interleave(const RowCodes* rows, Panel& panel) {
  const __m512i flip = _mm512_set1_epi8(panel.coding.is_signed ? static_cast<char>(0x80) : 0);
  make_unsigned(panel.coding);
  if (panel.coding.levels) {
    interleave_codes<Finish::kLevels>(rows, flip, _mm512_broadcast_i32x4(load16(panel.coding.levels)), panel);
  } else if (panel.coding.has_signs) {
    interleave_codes<Finish::kSigns>(rows, flip, flip, panel);
  } else {
    interleave_codes<Finish::kNone>(rows, flip, flip, panel);
  }
  transpose_scales(rows, rows[0].scale, panel.scale);
  if (panel.coding.has_min) transpose_scales(rows, rows[0].min, panel.min);
}

HEARTH_INLINE __m512i four_of(const int8_t* q) {
  int32_t word;
  std::memcpy(&word, q, sizeof(word));
  return _mm512_set1_epi32(word);
}

// acc += dot * (scale * d), the one place where a block meets the float sum.
HEARTH_INLINE __m512 add_dot(__m512 acc, __m512i dot, __m512 scale, float d) {
  return _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), _mm512_mul_ps(scale, _mm512_set1_ps(d)), acc);
}

// Columns that share a scale, all of a block or a half of it, of two tiles: a value of x is broadcast once for both.
// Rows are the inner loop, so that products of different rows fill the latency of one.
template <int kColumns, bool kMin, int kGroup>
HEARTH_INLINE void dot_columns(const Panel* panels, int64_t s, const XBlock* x, int64_t x_stride, int half,
                               __m128i zero_shift, __m512 (&sum)[kGroup][kTiles]) {
  constexpr bool kWhole = kColumns == 32;
  __m512i dot[kGroup][kTiles];
  HEARTH_UNROLL
  for (int r = 0; r < kGroup; ++r) {
    const XBlock& at = x[r * x_stride];
    __m512i start = _mm512_setzero_si512();
    if constexpr (!kMin) {
      start = _mm512_set1_epi32(kWhole ? at.minus_sum : at.minus_half_sum[half]);
      start = _mm512_sll_epi32(start, zero_shift);
    }
    dot[r][0] = dot[r][1] = start;
  }
  HEARTH_UNROLL
  for (int q = 0; q < kColumns / 4; ++q) {
    int64_t quad = (s * (kColumns / 4) + q) * 64;
    __m512i codes0 = load_codes(panels[0].codes + quad), codes1 = load_codes(panels[1].codes + quad);
    HEARTH_UNROLL
    for (int r = 0; r < kGroup; ++r) {
      __m512i of_x = four_of(x[r * x_stride].q + half * 16 + q * 4);
      dot[r][0] = _mm512_dpbusd_epi32(dot[r][0], codes0, of_x);
      dot[r][1] = _mm512_dpbusd_epi32(dot[r][1], codes1, of_x);
    }
  }
  HEARTH_UNROLL
  for (int t = 0; t < kTiles; ++t) {
    __m512 scale = _mm512_load_ps(panels[t].scale + s * kRows);
    HEARTH_UNROLL
    for (int r = 0; r < kGroup; ++r) sum[r][t] = add_dot(sum[r][t], dot[r][t], scale, x[r * x_stride].d);
    if constexpr (kMin) {
      __m512 min = _mm512_load_ps(panels[t].min + s * kRows);
      HEARTH_UNROLL
      for (int r = 0; r < kGroup; ++r) {
        const XBlock& at = x[r * x_stride];
        sum[r][t] = _mm512_fmadd_ps(min, _mm512_set1_ps(kWhole ? at.d_sum : at.d_half_sum[half]), sum[r][t]);
      }
    }
  }
}

template <int kGroup>
HEARTH_INLINE void load_sums(const float* acc, __m512 (&sum)[kGroup][kTiles]) {
  HEARTH_UNROLL
  for (int r = 0; r < kGroup; ++r) {
    sum[r][0] = _mm512_load_ps(acc + r * kPanelRows);
    sum[r][1] = _mm512_load_ps(acc + r * kPanelRows + kRows);
  }
}

template <int kGroup>
HEARTH_INLINE void store_sums(const __m512 (&sum)[kGroup][kTiles], float* acc) {
  HEARTH_UNROLL
  for (int r = 0; r < kGroup; ++r) {
    _mm512_store_ps(acc + r * kPanelRows, sum[r][0]);
    _mm512_store_ps(acc + r * kPanelRows + kRows, sum[r][1]);
  }
}

template <int kColumns, bool kMin, int kGroup>
void dot_group(const Panel* panels, const XBlock* x, int64_t x_stride, float* acc) {
  constexpr int kPerBlock = 32 / kColumns;
  // Zero points are powers of two.
  const __m128i zero_shift = _mm_cvtsi32_si128(__builtin_ctz(static_cast<unsigned>(panels->coding.zero) | 0x100));
  __m512 sum[kGroup][kTiles];
  load_sums(acc, sum);
  for (int64_t s = 0; s < panels->blocks * kPerBlock; s += kPerBlock, ++x) {
    HEARTH_UNROLL
    for (int half = 0; half < kPerBlock; ++half) {
      dot_columns<kColumns, kMin, kGroup>(panels, s + half, x, x_stride, half, zero_shift, sum);
    }
  }
  store_sums(sum, acc);
}

template <int kColumns, bool kMin>
void dot_rows(const Panel* panels, const XBlock* x, int64_t x_stride, int64_t n_rows, float* acc) {
  for (; n_rows >= kRowGroup; n_rows -= kRowGroup, x += kRowGroup * x_stride, acc += kRowGroup * kPanelRows) {
    dot_group<kColumns, kMin, kRowGroup>(panels, x, x_stride, acc);
  }
  switch (n_rows) {
    case 5: return dot_group<kColumns, kMin, 5>(panels, x, x_stride, acc);
    case 4: return dot_group<kColumns, kMin, 4>(panels, x, x_stride, acc);
    case 3: return dot_group<kColumns, kMin, 3>(panels, x, x_stride, acc);
    case 2: return dot_group<kColumns, kMin, 2>(panels, x, x_stride, acc);
    case 1: return dot_group<kColumns, kMin, 1>(panels, x, x_stride, acc);
    default: return;
  }
}

void dot(const Panel* panels, const XBlock* x, int64_t x_stride, int64_t n_rows, float* acc) {
  const Coding& c = panels->coding;
  if (c.columns == 32) {
    return c.has_min ? dot_rows<32, true>(panels, x, x_stride, n_rows, acc)
                     : dot_rows<32, false>(panels, x, x_stride, n_rows, acc);
  }
  return c.has_min ? dot_rows<16, true>(panels, x, x_stride, n_rows, acc)
                   : dot_rows<16, false>(panels, x, x_stride, n_rows, acc);
}

// E5M2 is the upper byte of a half. E4M3 has the exponent's place one bit lower and a bias that is 8 less.
template <DType kScheme>
HEARTH_INLINE __m512 load_f8(const std::byte* from) {
  __m256i bits = _mm256_cvtepi8_epi16(load16(from));
  if constexpr (kScheme == DType::kF8E5M2) return _mm512_cvtph_ps(_mm256_slli_epi16(bits, 8));
  bits = _mm256_and_si256(_mm256_slli_epi16(bits, 7), _mm256_set1_epi16(static_cast<int16_t>(0xbfff)));
  __m256i magnitude = _mm256_and_si256(bits, _mm256_set1_epi16(0x7fff));
  __m256i is_nan = _mm256_cmpeq_epi16(magnitude, _mm256_set1_epi16(0x3f80));
  return _mm512_mul_ps(_mm512_cvtph_ps(_mm256_or_si256(bits, is_nan)), _mm512_set1_ps(0x1p8f));
}

template <DType kScheme>
HEARTH_INLINE __m512 load_floats(const std::byte* from) {
  if constexpr (kScheme == DType::kF8E4M3 || kScheme == DType::kF8E5M2) return load_f8<kScheme>(from);
  if constexpr (kScheme == DType::kF16) return load_halves(from);
  if constexpr (kScheme == DType::kF32) return _mm512_loadu_ps(from);
  __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

template <DType kScheme, int kBytes>
void expand_floats(const std::byte* chunk, int64_t columns, float* w) {
  for (int64_t i = 0; i < columns; ++i) {
    _mm512_store_ps(w + i * kRows, load_floats<kScheme>(chunk + i * kBytes * kRows));
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

constinit const LinearKernels kLinearAvx512{quantize, expand, read_rows_avx512, interleave, dot, expand_float};

}  // namespace hearth::cpu
HEARTH_END_TARGET
#endif
