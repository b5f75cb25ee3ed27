// kPolynomial eight numbers at a time: the operations of normal_block.cpp, lane by lane.
#include "ops/random/normal_block.h"

#if defined(__x86_64__)
#include <immintrin.h>

#include <numbers>

#include "ops/simd/target.h"

HEARTH_BEGIN_AVX2
namespace hearth {
namespace {

HEARTH_INLINE __m256 all(float x) { return _mm256_set1_ps(x); }
HEARTH_INLINE __m256 mask_of(__m256i lanes) { return _mm256_castsi256_ps(lanes); }

HEARTH_INLINE __m256 log_lanes(__m256 x) {
  x = _mm256_max_ps(x, all(0x1p-126f));
  __m256i bits = _mm256_castps_si256(x);
  __m256 e = _mm256_cvtepi32_ps(_mm256_sub_epi32(_mm256_srli_epi32(bits, 23), _mm256_set1_epi32(126)));
  bits = _mm256_and_si256(bits, _mm256_set1_epi32(0x007FFFFF));
  x = mask_of(_mm256_or_si256(bits, _mm256_set1_epi32(0x3F000000)));
  __m256 is_low = _mm256_cmp_ps(x, all(0.707106781f), _CMP_LT_OS);
  e = _mm256_sub_ps(e, _mm256_and_ps(is_low, all(1.0f)));
  x = _mm256_add_ps(_mm256_sub_ps(x, all(1.0f)), _mm256_and_ps(is_low, x));
  __m256 z = _mm256_mul_ps(x, x);
  __m256 y = all(7.0376836292e-2f);
  for (float c : {-1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f, -1.6668057665e-1f,
                  2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f})
    y = _mm256_fmadd_ps(y, x, all(c));
  y = _mm256_fmadd_ps(_mm256_mul_ps(y, x), z, _mm256_mul_ps(e, all(-2.12194440e-4f)));
  y = _mm256_fnmadd_ps(z, all(0.5f), y);
  return _mm256_fmadd_ps(e, all(0.693359375f), _mm256_add_ps(x, y));
}

HEARTH_INLINE void sin_cos_lanes(__m256 x, __m256& sin, __m256& cos) {  // x >= 0
  const __m256i two = _mm256_set1_epi32(2), four = _mm256_set1_epi32(4);
  __m256i octant = _mm256_cvttps_epi32(_mm256_mul_ps(x, all(1.27323954473516f)));
  octant = _mm256_andnot_si256(_mm256_set1_epi32(1), _mm256_add_epi32(octant, _mm256_set1_epi32(1)));
  __m256 y = _mm256_cvtepi32_ps(octant);
  x = _mm256_fmadd_ps(y, all(-0.78515625f), x);
  x = _mm256_fmadd_ps(y, all(-2.4187564849853515625e-4f), x);
  x = _mm256_fmadd_ps(y, all(-3.77489497744594108e-8f), x);
  __m256 z = _mm256_mul_ps(x, x);
  __m256 c = _mm256_fmadd_ps(all(2.443315711809948e-5f), z, all(-1.388731625493765e-3f));
  c = _mm256_fmadd_ps(c, z, all(4.166664568298827e-2f));
  c = _mm256_fmsub_ps(_mm256_mul_ps(c, z), z, _mm256_mul_ps(z, all(0.5f)));
  c = _mm256_add_ps(c, all(1.0f));
  __m256 s = _mm256_fmadd_ps(all(-1.9515295891e-4f), z, all(8.3321608736e-3f));
  s = _mm256_fmadd_ps(s, z, all(-1.6666654611e-1f));
  s = _mm256_fmadd_ps(_mm256_mul_ps(s, z), x, x);
  __m256 is_straight = mask_of(_mm256_cmpeq_epi32(_mm256_and_si256(octant, two), _mm256_setzero_si256()));
  __m256 sin_sign = mask_of(_mm256_slli_epi32(_mm256_and_si256(octant, four), 29));
  __m256 cos_sign = mask_of(_mm256_slli_epi32(_mm256_andnot_si256(_mm256_sub_epi32(octant, two), four), 29));
  sin = _mm256_xor_ps(_mm256_blendv_ps(c, s, is_straight), sin_sign);
  cos = _mm256_xor_ps(_mm256_blendv_ps(s, c, is_straight), cos_sign);
}

void blocks(std::span<float> values) {
  constexpr float kTwoPi = 2.0f * std::numbers::pi_v<float>;
  float* end = values.data() + values.size();
  for (float* at = values.data(); at != end; at += kNormalBlock) {
    __m256 u = _mm256_sub_ps(all(1.0f), _mm256_loadu_ps(at));
    __m256 radius = _mm256_sqrt_ps(_mm256_mul_ps(all(-2.0f), log_lanes(u)));
    __m256 sin, cos;
    sin_cos_lanes(_mm256_mul_ps(all(kTwoPi), _mm256_loadu_ps(at + 8)), sin, cos);
    _mm256_storeu_ps(at, _mm256_mul_ps(radius, cos));
    _mm256_storeu_ps(at + 8, _mm256_mul_ps(radius, sin));
  }
}

}  // namespace
}  // namespace hearth
HEARTH_END_TARGET

namespace hearth {
NormalBlockFn normal_block_avx2() {
  return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? blocks : nullptr;
}
}  // namespace hearth
#else
namespace hearth {
NormalBlockFn normal_block_avx2() { return nullptr; }
}  // namespace hearth
#endif
