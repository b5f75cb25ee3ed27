// Avx512: sixteen float lanes in one register. Include inside an AVX-512 region only. The three vector types have one
// interface and one order of every horizontal sum, so a kernel gives the same bits on each of them.
#pragma once

namespace hearth::cpu {

struct Avx512 {
  using F = __m512;
  using M = __mmask16;
  static constexpr int kAccumulators = 16;  // vectors a register block may keep
  static constexpr int kBlock = 8;          // rows of a register block
  static constexpr int kGemmRows = 12;  // rows and vectors of a register block of gemm: of 32 registers 24 hold sums
  static constexpr int kGemmTiles = 2;

  static HEARTH_INLINE uint32_t below(int64_t n) { return n <= 0 ? 0u : n >= 16 ? 0xffffu : (1u << n) - 1; }
  static HEARTH_INLINE M range(int64_t lo, int64_t hi) {  // lanes lo <= i < hi
    return static_cast<M>(below(hi) & ~below(lo));
  }
  static HEARTH_INLINE F set1(float x) { return _mm512_set1_ps(x); }
  static HEARTH_INLINE F load(const float* p) { return _mm512_loadu_ps(p); }
  static HEARTH_INLINE F load(const Half* p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  }
  static HEARTH_INLINE F load(const BFloat16* p) {
    __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
  }
  static HEARTH_INLINE void store(float* p, F x) { _mm512_storeu_ps(p, x); }
  static HEARTH_INLINE F load_n(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(range(0, n), p); }
  static HEARTH_INLINE void store_n(float* p, F x, int64_t n) { _mm512_mask_storeu_ps(p, range(0, n), x); }
  static HEARTH_INLINE void store_half(Half* p, F x) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
  }
  static HEARTH_INLINE void store_bf16(BFloat16* p, F x) {
    __m512i bits = _mm512_castps_si512(x);
    __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd, _mm512_set1_epi32(0x7fff)));
    __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    rounded = _mm512_mask_mov_epi32(rounded, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), quiet);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16)));
  }

  static HEARTH_INLINE F add(F a, F b) { return _mm512_add_ps(a, b); }
  static HEARTH_INLINE F sub(F a, F b) { return _mm512_sub_ps(a, b); }
  static HEARTH_INLINE F mul(F a, F b) { return _mm512_mul_ps(a, b); }
  static HEARTH_INLINE F div(F a, F b) { return _mm512_div_ps(a, b); }
  static HEARTH_INLINE F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
  static HEARTH_INLINE F max(F a, F b) { return _mm512_max_ps(a, b); }  // b when either is NaN
  static HEARTH_INLINE F min(F a, F b) { return _mm512_min_ps(a, b); }
  static HEARTH_INLINE F round(F x) { return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT); }
  static HEARTH_INLINE F abs(F x) { return _mm512_andnot_ps(set1(-0.0f), x); }
  static HEARTH_INLINE F sign_from(F magnitude, F sign) {
    return _mm512_or_ps(abs(magnitude), _mm512_and_ps(sign, set1(-0.0f)));
  }
  static HEARTH_INLINE M less(F a, F b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
  static HEARTH_INLINE F select(M m, F yes, F no) { return _mm512_mask_blend_ps(m, no, yes); }
  static HEARTH_INLINE F pow2(F n) {  // 2^n, n whole in [-126, 127]
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(_mm512_cvtps_epi32(n), _mm512_set1_epi32(127)), 23));
  }
  static HEARTH_INLINE F swap_pairs(F x) { return _mm512_permute_ps(x, 0b10110001); }
  static HEARTH_INLINE float first(F x) { return _mm512_cvtss_f32(x); }

  static HEARTH_INLINE float sum(F x) {
    __m256 y = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
  }
  static HEARTH_INLINE float max_of(F x) {
    __m256 y = _mm256_max_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    __m128 z = _mm_max_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_max_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_max_ss(z, _mm_movehdup_ps(z)));
  }

  /// Transposes a 16 x 16 block held in sixteen vectors.
  static HEARTH_INLINE void transpose(F (&r)[16]) {
    F t[16];
    HEARTH_UNROLL
    for (int i = 0; i < 16; i += 4) {  // 4 x 4 within each 128-bit lane
      F a = _mm512_unpacklo_ps(r[i], r[i + 1]), b = _mm512_unpackhi_ps(r[i], r[i + 1]);
      F c = _mm512_unpacklo_ps(r[i + 2], r[i + 3]), d = _mm512_unpackhi_ps(r[i + 2], r[i + 3]);
      t[i] = _mm512_shuffle_ps(a, c, 0x44);
      t[i + 1] = _mm512_shuffle_ps(a, c, 0xee);
      t[i + 2] = _mm512_shuffle_ps(b, d, 0x44);
      t[i + 3] = _mm512_shuffle_ps(b, d, 0xee);
    }
    HEARTH_UNROLL
    for (int i = 0; i < 4; ++i) {  // lanes across the four groups of rows
      F a = _mm512_shuffle_f32x4(t[i], t[i + 4], 0x88), b = _mm512_shuffle_f32x4(t[i], t[i + 4], 0xdd);
      F c = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0x88), d = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0xdd);
      r[i] = _mm512_shuffle_f32x4(a, c, 0x88);
      r[i + 8] = _mm512_shuffle_f32x4(a, c, 0xdd);
      r[i + 4] = _mm512_shuffle_f32x4(b, d, 0x88);
      r[i + 12] = _mm512_shuffle_f32x4(b, d, 0xdd);
    }
  }
};

}  // namespace hearth::cpu
