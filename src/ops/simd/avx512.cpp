// Every kernel table of the Avx512 level, compiled for it from the templates all levels share.
#if defined(__x86_64__)
#if !defined(__clang__)
#pragma GCC diagnostic ignored "-Wuninitialized"  // GCC 12 reports its own _mm512_undefined_ps()
#endif
#include <immintrin.h>

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

#include "core/tensor/tensor.h"
#include "ops/attention/attention_tile.h"
#include "ops/attention/full_attention_kernels.h"
#include "ops/gemm/gemm.h"
#include "ops/norm/norm_kernels.h"
#include "ops/pointwise/pointwise_kernels.h"
#include "ops/simd/level.h"
#include "ops/simd/target.h"

HEARTH_BEGIN_AVX512
// In this order: each builds on those before it.
#include "ops/simd/avx512_vector.h"

#include "ops/simd/math.h"

#include "ops/attention/rope_simd.h"

#include "ops/attention/attention_simd.h"
#include "ops/gemm/gemm_simd.h"
#include "ops/pointwise/pointwise_simd.h"

#include "ops/attention/full_attention_simd.h"
#include "ops/norm/norm_simd.h"

namespace hearth::cpu {
namespace {

constexpr NormKernels kNorm = norm_kernels<Avx512>();
constexpr PointwiseKernels kPointwise = pointwise_kernels<Avx512>();
constexpr AttentionKernels kAttention = attention_kernels<Avx512>();
constexpr MathKernels kMath = math_kernels<Avx512>();
constexpr GemmKernels kGemm = gemm_kernels<Avx512>();
constexpr FullAttentionKernels kFullAttention = full_attention_kernels<Avx512>();

}  // namespace

constinit const Level kAvx512Level{&kNorm, &kPointwise, &kAttention, &kMath, &kGemm, &kFullAttention};

}  // namespace hearth::cpu
HEARTH_END_TARGET
#endif
