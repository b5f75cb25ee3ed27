// Every kernel table of the Neon level, compiled for it from the templates all levels share.
#if defined(__aarch64__)
#include <arm_neon.h>

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

// In this order: each builds on those before it.
#include "ops/simd/neon_vector.h"

#include "ops/simd/math.h"

#include "ops/attention/rope_simd.h"

#include "ops/attention/attention_simd.h"
#include "ops/gemm/gemm_simd.h"
#include "ops/pointwise/pointwise_simd.h"

#include "ops/attention/full_attention_simd.h"
#include "ops/norm/norm_simd.h"

namespace hearth::cpu {
namespace {

constexpr NormKernels kNorm = norm_kernels<Neon>();
constexpr PointwiseKernels kPointwise = pointwise_kernels<Neon>();
constexpr AttentionKernels kAttention = attention_kernels<Neon>();
constexpr MathKernels kMath = math_kernels<Neon>();
constexpr GemmKernels kGemm = gemm_kernels<Neon>();
constexpr FullAttentionKernels kFullAttention = full_attention_kernels<Neon>();

}  // namespace

constinit const Level kNeonLevel{&kNorm, &kPointwise, &kAttention, &kMath, &kGemm, &kFullAttention};

}  // namespace hearth::cpu
#endif
