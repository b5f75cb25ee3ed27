// Byte products with sdot: 4 columns of 4 rows at once.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "ops/linear/neon_kernels.h"
#include "ops/simd/target.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod")
#endif
#include "ops/linear/neon_dot.h"

namespace hearth::cpu {
namespace {

struct DotProduct {
  static constexpr int kGroup = 4;

  template <int kQuads, int kGroup>
  static HEARTH_INLINE void dot(const int8_t* codes, const int8_t* x, int64_t x_stride, int32x4_t (&sums)[kGroup][4]) {
    HEARTH_UNROLL
    for (int first = 0; first < kQuads; first += 4) {  // a register holds four quads of a row of x
      int8x16_t of_x[kGroup];
      HEARTH_UNROLL
      for (int r = 0; r < kGroup; ++r) of_x[r] = vld1q_s8(x + r * x_stride + first * 4);
      const int8_t* at = codes + first * 64;
      HEARTH_UNROLL
      for (int g = 0; g < 4; ++g) {
        const int8x16_t w0 = vld1q_s8(at + g * 16), w1 = vld1q_s8(at + 64 + g * 16);
        const int8x16_t w2 = vld1q_s8(at + 128 + g * 16), w3 = vld1q_s8(at + 192 + g * 16);
        HEARTH_UNROLL
        for (int r = 0; r < kGroup; ++r) {
          sums[r][g] = vdotq_laneq_s32(sums[r][g], w0, of_x[r], 0);
          sums[r][g] = vdotq_laneq_s32(sums[r][g], w1, of_x[r], 1);
          sums[r][g] = vdotq_laneq_s32(sums[r][g], w2, of_x[r], 2);
          sums[r][g] = vdotq_laneq_s32(sums[r][g], w3, of_x[r], 3);
        }
      }
    }
  }
};

}  // namespace

constinit const LinearKernels kLinearDotprod{neon::quantize,   neon::expand,    read_rows,
                                             neon::interleave, dot<DotProduct>, neon::expand_float};

}  // namespace hearth::cpu
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
