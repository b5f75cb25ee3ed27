// Avx2: sixteen float lanes in two registers. Include inside an AVX2 region only. Interface: avx512_vector.h.
#pragma once

namespace hearth::cpu {

struct Avx2 {
  struct F {
    __m256 a, b;
  };
  using M = F;
  static constexpr int kAccumulators = 4;
  static constexpr int kBlock = 4;
  static constexpr int kGemmRows = 6;  // 12 of 16 registers
  static constexpr int kGemmTiles = 1;

  static HEARTH_INLINE __m256i int_range(int lo, int hi, int start) {
    __m256i at = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(start));
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32(lo), at),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32(hi), at));
  }
  static HEARTH_INLINE int clamp(int64_t n) { return n < 0 ? 0 : n > 16 ? 16 : static_cast<int>(n); }
  static HEARTH_INLINE M range(int64_t lo, int64_t hi) {
    int from = clamp(lo), to = clamp(hi);
    return {_mm256_castsi256_ps(int_range(from, to, 0)), _mm256_castsi256_ps(int_range(from, to, 8))};
  }
  static HEARTH_INLINE F set1(float x) { return {_mm256_set1_ps(x), _mm256_set1_ps(x)}; }
  static HEARTH_INLINE F load(const float* p) { return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)}; }
  static HEARTH_INLINE F load(const Half* p) {
    const __m128i* bits = reinterpret_cast<const __m128i*>(p);
    return {_mm256_cvtph_ps(_mm_loadu_si128(bits)), _mm256_cvtph_ps(_mm_loadu_si128(bits + 1))};
  }
  static HEARTH_INLINE F load(const BFloat16* p) {
    const __m128i* bits = reinterpret_cast<const __m128i*>(p);
    return {widen(_mm_loadu_si128(bits)), widen(_mm_loadu_si128(bits + 1))};
  }
  static HEARTH_INLINE __m256 widen(__m128i bits) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
  }
  static HEARTH_INLINE void store(float* p, F x) {
    _mm256_storeu_ps(p, x.a);
    _mm256_storeu_ps(p + 8, x.b);
  }
  static HEARTH_INLINE F load_n(const float* p, int64_t n) {
    int to = clamp(n);
    return {_mm256_maskload_ps(p, int_range(0, to, 0)), _mm256_maskload_ps(p + 8, int_range(0, to, 8))};
  }
  static HEARTH_INLINE void store_n(float* p, F x, int64_t n) {
    int to = clamp(n);
    _mm256_maskstore_ps(p, int_range(0, to, 0), x.a);
    _mm256_maskstore_ps(p + 8, int_range(0, to, 8), x.b);
  }
  static HEARTH_INLINE void store_half(Half* p, F x) {
    __m128i* bits = reinterpret_cast<__m128i*>(p);
    _mm_storeu_si128(bits, _mm256_cvtps_ph(x.a, _MM_FROUND_TO_NEAREST_INT));
    _mm_storeu_si128(bits + 1, _mm256_cvtps_ph(x.b, _MM_FROUND_TO_NEAREST_INT));
  }
  static HEARTH_INLINE __m256i round_bf16(__m256 x) {
    __m256i bits = _mm256_castps_si256(x);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    __m256i nan = _mm256_castps_si256(_mm256_cmp_ps(x, x, _CMP_UNORD_Q));
    return _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, nan), 16);
  }
  static HEARTH_INLINE void store_bf16(BFloat16* p, F x) {
    __m256i packed = _mm256_packus_epi32(round_bf16(x.a), round_bf16(x.b));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm256_permute4x64_epi64(packed, 0b11011000));
  }

  static HEARTH_INLINE F add(F x, F y) { return {_mm256_add_ps(x.a, y.a), _mm256_add_ps(x.b, y.b)}; }
  static HEARTH_INLINE F sub(F x, F y) { return {_mm256_sub_ps(x.a, y.a), _mm256_sub_ps(x.b, y.b)}; }
  static HEARTH_INLINE F mul(F x, F y) { return {_mm256_mul_ps(x.a, y.a), _mm256_mul_ps(x.b, y.b)}; }
  static HEARTH_INLINE F div(F x, F y) { return {_mm256_div_ps(x.a, y.a), _mm256_div_ps(x.b, y.b)}; }
  static HEARTH_INLINE F fma(F x, F y, F z) { return {_mm256_fmadd_ps(x.a, y.a, z.a), _mm256_fmadd_ps(x.b, y.b, z.b)}; }
  static HEARTH_INLINE F max(F x, F y) { return {_mm256_max_ps(x.a, y.a), _mm256_max_ps(x.b, y.b)}; }
  static HEARTH_INLINE F min(F x, F y) { return {_mm256_min_ps(x.a, y.a), _mm256_min_ps(x.b, y.b)}; }
  static HEARTH_INLINE F round(F x) {
    constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    return {_mm256_round_ps(x.a, kNearest), _mm256_round_ps(x.b, kNearest)};
  }
  static HEARTH_INLINE __m256 sign_bit() { return _mm256_set1_ps(-0.0f); }
  static HEARTH_INLINE F abs(F x) { return {_mm256_andnot_ps(sign_bit(), x.a), _mm256_andnot_ps(sign_bit(), x.b)}; }
  static HEARTH_INLINE F sign_from(F magnitude, F sign) {
    F m = abs(magnitude);
    return {_mm256_or_ps(m.a, _mm256_and_ps(sign.a, sign_bit())), _mm256_or_ps(m.b, _mm256_and_ps(sign.b, sign_bit()))};
  }
  static HEARTH_INLINE M less(F x, F y) {
    return {_mm256_cmp_ps(x.a, y.a, _CMP_LT_OQ), _mm256_cmp_ps(x.b, y.b, _CMP_LT_OQ)};
  }
  static HEARTH_INLINE F select(M m, F yes, F no) {
    return {_mm256_blendv_ps(no.a, yes.a, m.a), _mm256_blendv_ps(no.b, yes.b, m.b)};
  }
  static HEARTH_INLINE __m256 pow2(__m256 n) {
    __m256i exponent = _mm256_add_epi32(_mm256_cvtps_epi32(n), _mm256_set1_epi32(127));
    return _mm256_castsi256_ps(_mm256_slli_epi32(exponent, 23));
  }
  static HEARTH_INLINE F pow2(F n) { return {pow2(n.a), pow2(n.b)}; }
  static HEARTH_INLINE F swap_pairs(F x) {
    return {_mm256_permute_ps(x.a, 0b10110001), _mm256_permute_ps(x.b, 0b10110001)};
  }
  static HEARTH_INLINE float first(F x) { return _mm256_cvtss_f32(x.a); }

  static HEARTH_INLINE float sum(F x) {
    __m256 y = _mm256_add_ps(x.a, x.b);
    __m128 z = _mm_add_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_add_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_add_ss(z, _mm_movehdup_ps(z)));
  }
  static HEARTH_INLINE float max_of(F x) {
    __m256 y = _mm256_max_ps(x.a, x.b);
    __m128 z = _mm_max_ps(_mm256_castps256_ps128(y), _mm256_extractf128_ps(y, 1));
    z = _mm_max_ps(z, _mm_movehl_ps(z, z));
    return _mm_cvtss_f32(_mm_max_ss(z, _mm_movehdup_ps(z)));
  }

  static HEARTH_INLINE void transpose8(__m256 (&r)[8]) {
    __m256 t[8];
    HEARTH_UNROLL
    for (int i = 0; i < 8; i += 4) {
      __m256 a = _mm256_unpacklo_ps(r[i], r[i + 1]), b = _mm256_unpackhi_ps(r[i], r[i + 1]);
      __m256 c = _mm256_unpacklo_ps(r[i + 2], r[i + 3]), d = _mm256_unpackhi_ps(r[i + 2], r[i + 3]);
      t[i] = _mm256_shuffle_ps(a, c, 0x44);
      t[i + 1] = _mm256_shuffle_ps(a, c, 0xee);
      t[i + 2] = _mm256_shuffle_ps(b, d, 0x44);
      t[i + 3] = _mm256_shuffle_ps(b, d, 0xee);
    }
    HEARTH_UNROLL
    for (int i = 0; i < 4; ++i) {
      r[i] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x20);
      r[i + 4] = _mm256_permute2f128_ps(t[i], t[i + 4], 0x31);
    }
  }
  /// The four 8 x 8 quarters are transposed in place, then the off-diagonal ones change places.
  static HEARTH_INLINE void transpose(F (&r)[16]) {
    __m256 q[4][8];
    HEARTH_UNROLL
    for (int i = 0; i < 8; ++i) {
      q[0][i] = r[i].a, q[1][i] = r[i].b;
      q[2][i] = r[i + 8].a, q[3][i] = r[i + 8].b;
    }
    transpose8(q[0]), transpose8(q[1]), transpose8(q[2]), transpose8(q[3]);
    HEARTH_UNROLL
    for (int i = 0; i < 8; ++i) {
      r[i] = {q[0][i], q[2][i]};
      r[i + 8] = {q[1][i], q[3][i]};
    }
  }
};

}  // namespace hearth::cpu
