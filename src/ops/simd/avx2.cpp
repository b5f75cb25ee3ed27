// Every kernel table of the Avx2 level, compiled for it from the templates all levels share.
#if defined(__x86_64__)
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

HEARTH_BEGIN_AVX2
// In this order: each builds on those before it.
#include "ops/simd/avx2_vector.h"

#include "ops/simd/math.h"

#include "ops/attention/rope_simd.h"

#include "ops/attention/attention_simd.h"
#include "ops/gemm/gemm_simd.h"
#include "ops/pointwise/pointwise_simd.h"

#include "ops/attention/full_attention_simd.h"
#include "ops/norm/norm_simd.h"

namespace hearth::cpu {
namespace {

constexpr NormKernels kNorm = norm_kernels<Avx2>();
constexpr PointwiseKernels kPointwise = pointwise_kernels<Avx2>();
constexpr AttentionKernels kAttention = attention_kernels<Avx2>();
constexpr MathKernels kMath = math_kernels<Avx2>();
constexpr GemmKernels kGemm = gemm_kernels<Avx2>();
constexpr FullAttentionKernels kFullAttention = full_attention_kernels<Avx2>();

}  // namespace

constinit const Level kAvx2Level{&kNorm, &kPointwise, &kAttention, &kMath, &kGemm, &kFullAttention};

}  // namespace hearth::cpu
HEARTH_END_TARGET
#endif
