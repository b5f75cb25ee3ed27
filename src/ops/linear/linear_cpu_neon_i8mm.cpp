// Byte products with smmla: 8 columns of 2 weight rows times 2 rows of x at once. Two quads of columns zipped by words
// give two rows of 8 columns.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "ops/linear/neon_kernels.h"
#include "ops/simd/target.h"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("i8mm,dotprod"))), apply_to = function)
#else
#pragma GCC push_options
#pragma GCC target("arch=armv8.2-a+dotprod+i8mm")
#endif
#include "ops/linear/neon_dot.h"

namespace hearth::cpu {
namespace {

struct MatrixProduct {
  static constexpr int kGroup = 4;

  template <int kQuads, int kGroup>
  static HEARTH_INLINE void dot(const int8_t* codes, const int8_t* x, int64_t x_stride, int32x4_t (&sums)[kGroup][4]) {
    if constexpr (kGroup == 1) {
      dot_row<kQuads>(codes, x, sums[0]);
    } else {
      dot_pairs<kQuads, kGroup>(codes, x, x_stride, sums);
    }
  }

  template <int kQuads, int kGroup>
  static HEARTH_INLINE void dot_pairs(const int8_t* codes, const int8_t* x, int64_t x_stride,
                                      int32x4_t (&sums)[kGroup][4]) {
    int8x16_t of_x[kGroup / 2][kQuads / 2];  // 8 columns of two rows
    HEARTH_UNROLL
    for (int r = 0; r < kGroup; r += 2) {
      HEARTH_UNROLL
      for (int q = 0; q < kQuads / 2; ++q) {
        of_x[r / 2][q] = vcombine_s8(vld1_s8(x + r * x_stride + q * 8), vld1_s8(x + (r + 1) * x_stride + q * 8));
      }
    }
    HEARTH_UNROLL
    for (int g = 0; g < 4; ++g) {
      int32x4_t first[kGroup / 2], second[kGroup / 2];  // weight rows 0, 1 and 2, 3: [w][x]
      HEARTH_UNROLL
      for (int p = 0; p < kGroup / 2; ++p) first[p] = second[p] = vdupq_n_s32(0);
      HEARTH_UNROLL
      for (int q = 0; q < kQuads / 2; ++q) {
        int32x4_t a = vreinterpretq_s32_s8(vld1q_s8(codes + q * 128 + g * 16));
        int32x4_t b = vreinterpretq_s32_s8(vld1q_s8(codes + q * 128 + 64 + g * 16));
        int8x16_t w01 = vreinterpretq_s8_s32(vzip1q_s32(a, b)), w23 = vreinterpretq_s8_s32(vzip2q_s32(a, b));
        HEARTH_UNROLL
        for (int p = 0; p < kGroup / 2; ++p) {
          first[p] = vmmlaq_s32(first[p], w01, of_x[p][q]);
          second[p] = vmmlaq_s32(second[p], w23, of_x[p][q]);
        }
      }
      HEARTH_UNROLL
      for (int p = 0; p < kGroup / 2; ++p) {
        sums[2 * p][g] = vaddq_s32(sums[2 * p][g], vuzp1q_s32(first[p], second[p]));
        sums[2 * p + 1][g] = vaddq_s32(sums[2 * p + 1][g], vuzp2q_s32(first[p], second[p]));
      }
    }
  }

  // A single row would leave half of smmla idle.
  template <int kQuads>
  static HEARTH_INLINE void dot_row(const int8_t* codes, const int8_t* x, int32x4_t (&sums)[4]) {
    HEARTH_UNROLL
    for (int first = 0; first < kQuads; first += 4) {
      const int8x16_t of_x = vld1q_s8(x + first * 4);
      const int8_t* at = codes + first * 64;
      HEARTH_UNROLL
      for (int g = 0; g < 4; ++g) {
        sums[g] = vdotq_laneq_s32(sums[g], vld1q_s8(at + g * 16), of_x, 0);
        sums[g] = vdotq_laneq_s32(sums[g], vld1q_s8(at + 64 + g * 16), of_x, 1);
        sums[g] = vdotq_laneq_s32(sums[g], vld1q_s8(at + 128 + g * 16), of_x, 2);
        sums[g] = vdotq_laneq_s32(sums[g], vld1q_s8(at + 192 + g * 16), of_x, 3);
      }
    }
  }
};

}  // namespace

constinit const LinearKernels kLinearI8mm{neon::quantize,   neon::expand,       read_rows,
                                          neon::interleave, dot<MatrixProduct>, neon::expand_float};

}  // namespace hearth::cpu
#if defined(__clang__)
#pragma clang attribute pop
#else
#pragma GCC pop_options
#endif
#endif
