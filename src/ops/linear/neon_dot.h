// How blocks meet the float sums on NEON, for every way of multiplying bytes. Include inside a target region, after
// arm_neon.h. `Isa` gives
//   kGroup            rows of x at a time
//   dot<kQuads, kGroup>(codes, x, x_stride, sums)   sums[row][4 groups of 4 weight rows] += codes * x, exactly;
//                     x points at the first of 4 * kQuads int8, rows lie x_stride bytes apart
#pragma once

namespace hearth::cpu {

template <class Isa, int kColumns, bool kMin, int kGroup>
void dot_group(const Panel& panel, const XBlock* x, int64_t x_stride, float* acc) {
  constexpr int kPerBlock = 32 / kColumns;
  const int32x4_t zero = vdupq_n_s32(panel.coding.zero);  // 0 for signed codes
  for (int64_t s = 0; s < panel.blocks * kPerBlock; ++s) {
    const XBlock* at = x + s / kPerBlock;
    const int64_t half = s % kPerBlock;
    int32x4_t dot[kGroup][4];
    HEARTH_UNROLL
    for (int r = 0; r < kGroup; ++r) {
      int32x4_t start = vdupq_n_s32(0);
      if constexpr (!kMin) {
        const XBlock& of = at[r * x_stride];
        start = vmulq_n_s32(zero, kPerBlock == 1 ? of.minus_sum : of.minus_half_sum[half]);
      }
      HEARTH_UNROLL
      for (int g = 0; g < 4; ++g) dot[r][g] = start;
    }
    Isa::template dot<kColumns / 4, kGroup>(reinterpret_cast<const int8_t*>(panel.codes) + s * kColumns * rows16::kRows,
                                            at->q + half * 16, x_stride * static_cast<int64_t>(sizeof(XBlock)), dot);
    HEARTH_UNROLL
    for (int r = 0; r < kGroup; ++r) {
      const XBlock& of = at[r * x_stride];
      HEARTH_UNROLL
      for (int g = 0; g < 4; ++g) {
        float* to = acc + r * kPanelRows + g * 4;
        float32x4_t scale = vmulq_n_f32(vld1q_f32(panel.scale + s * rows16::kRows + g * 4), of.d);
        float32x4_t sum = vfmaq_f32(vld1q_f32(to), vcvtq_f32_s32(dot[r][g]), scale);
        if constexpr (kMin) {
          float d_sum = kPerBlock == 1 ? of.d_sum : of.d_half_sum[half];
          sum = vfmaq_n_f32(sum, vld1q_f32(panel.min + s * rows16::kRows + g * 4), d_sum);
        }
        vst1q_f32(to, sum);
      }
    }
  }
}

template <class Isa, int kColumns, bool kMin>
void dot_rows(const Panel& panel, const XBlock* x, int64_t x_stride, int64_t n_rows, float* acc) {
  constexpr int kGroup = Isa::kGroup;
  for (; n_rows >= kGroup; n_rows -= kGroup, x += kGroup * x_stride, acc += kGroup * kPanelRows) {
    dot_group<Isa, kColumns, kMin, kGroup>(panel, x, x_stride, acc);
  }
  for (; n_rows > 0; --n_rows, x += x_stride, acc += kPanelRows) {
    dot_group<Isa, kColumns, kMin, 1>(panel, x, x_stride, acc);
  }
}

template <class Isa>
void dot(const Panel* panels, const XBlock* x, int64_t x_stride, int64_t n_rows, float* acc) {
  for (int t = 0; t < kTiles; ++t, acc += rows16::kRows) {
    const Panel& panel = panels[t];
    if (panel.coding.columns == 32) {
      panel.coding.has_min ? dot_rows<Isa, 32, true>(panel, x, x_stride, n_rows, acc)
                           : dot_rows<Isa, 32, false>(panel, x, x_stride, n_rows, acc);
    } else {
      panel.coding.has_min ? dot_rows<Isa, 16, true>(panel, x, x_stride, n_rows, acc)
                           : dot_rows<Isa, 16, false>(panel, x, x_stride, n_rows, acc);
    }
  }
}

}  // namespace hearth::cpu
