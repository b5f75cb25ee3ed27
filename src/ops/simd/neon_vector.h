// Neon: sixteen float lanes in four registers. Interface: avx512_vector.h.
#pragma once

namespace hearth::cpu {

struct Neon {
  struct F {
    float32x4_t v[4];
  };
  struct M {
    uint32x4_t v[4];
  };
  static constexpr int kAccumulators = 4;
  static constexpr int kBlock = 4;
  static constexpr int kGemmRows = 6;  // 24 of 32 registers
  static constexpr int kGemmTiles = 1;

  template <class Op>
  static HEARTH_INLINE F map(F x, Op op) {
    return {{op(x.v[0]), op(x.v[1]), op(x.v[2]), op(x.v[3])}};
  }
  template <class Op>
  static HEARTH_INLINE F map(F x, F y, Op op) {
    return {{op(x.v[0], y.v[0]), op(x.v[1], y.v[1]), op(x.v[2], y.v[2]), op(x.v[3], y.v[3])}};
  }

  static HEARTH_INLINE M range(int64_t lo, int64_t hi) {
    int32_t from = lo < 0 ? 0 : lo > 16 ? 16 : static_cast<int32_t>(lo);
    int32_t to = hi < 0 ? 0 : hi > 16 ? 16 : static_cast<int32_t>(hi);
    static constexpr int32_t kIndex[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    M m;
    for (int i = 0; i < 4; ++i) {
      int32x4_t at = vld1q_s32(kIndex + 4 * i);
      m.v[i] = vandq_u32(vcgeq_s32(at, vdupq_n_s32(from)), vcltq_s32(at, vdupq_n_s32(to)));
    }
    return m;
  }
  static HEARTH_INLINE F set1(float x) {
    float32x4_t v = vdupq_n_f32(x);
    return {{v, v, v, v}};
  }
  static HEARTH_INLINE F load(const float* p) {
    return {{vld1q_f32(p), vld1q_f32(p + 4), vld1q_f32(p + 8), vld1q_f32(p + 12)}};
  }
  static HEARTH_INLINE float32x4_t widen(const Half* p) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(&p->bits)));
  }
  static HEARTH_INLINE float32x4_t widen(const BFloat16* p) {
    return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(&p->bits), 16));
  }
  static HEARTH_INLINE F load(const Half* p) { return {{widen(p), widen(p + 4), widen(p + 8), widen(p + 12)}}; }
  static HEARTH_INLINE F load(const BFloat16* p) { return {{widen(p), widen(p + 4), widen(p + 8), widen(p + 12)}}; }
  static HEARTH_INLINE void store(float* p, F x) {
    for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, x.v[i]);
  }
  static HEARTH_INLINE F load_n(const float* p, int64_t n) {
    float lanes[16] = {};
    std::memcpy(lanes, p, 4 * static_cast<size_t>(n < 16 ? n : 16));
    return load(lanes);
  }
  static HEARTH_INLINE void store_n(float* p, F x, int64_t n) {
    float lanes[16];
    store(lanes, x);
    std::memcpy(p, lanes, 4 * static_cast<size_t>(n < 16 ? n : 16));
  }
  static HEARTH_INLINE void store_half(Half* p, F x) {
    for (int i = 0; i < 4; ++i) vst1_u16(&p[4 * i].bits, vreinterpret_u16_f16(vcvt_f16_f32(x.v[i])));
  }
  static HEARTH_INLINE void store_bf16(BFloat16* p, F x) {
    for (int i = 0; i < 4; ++i) {
      uint32x4_t bits = vreinterpretq_u32_f32(x.v[i]);
      uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
      uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
      uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
      uint32x4_t number = vceqq_f32(x.v[i], x.v[i]);
      vst1_u16(&p[4 * i].bits, vshrn_n_u32(vbslq_u32(number, rounded, quiet), 16));
    }
  }

  static HEARTH_INLINE F add(F x, F y) {
    return map(x, y, [](auto a, auto b) { return vaddq_f32(a, b); });
  }
  static HEARTH_INLINE F sub(F x, F y) {
    return map(x, y, [](auto a, auto b) { return vsubq_f32(a, b); });
  }
  static HEARTH_INLINE F mul(F x, F y) {
    return map(x, y, [](auto a, auto b) { return vmulq_f32(a, b); });
  }
  static HEARTH_INLINE F div(F x, F y) {
    return map(x, y, [](auto a, auto b) { return vdivq_f32(a, b); });
  }
  static HEARTH_INLINE F fma(F x, F y, F z) {
    F out;
    for (int i = 0; i < 4; ++i) out.v[i] = vfmaq_f32(z.v[i], x.v[i], y.v[i]);
    return out;
  }
  static HEARTH_INLINE F max(F x, F y) {
    return map(x, y, [](auto a, auto b) { return vbslq_f32(vcgtq_f32(a, b), a, b); });  // b when either is NaN
  }
  static HEARTH_INLINE F min(F x, F y) {
    return map(x, y, [](auto a, auto b) { return vbslq_f32(vcltq_f32(a, b), a, b); });
  }
  static HEARTH_INLINE F round(F x) {
    return map(x, [](auto a) { return vrndnq_f32(a); });
  }
  static HEARTH_INLINE F abs(F x) {
    return map(x, [](auto a) { return vabsq_f32(a); });
  }
  static HEARTH_INLINE F sign_from(F magnitude, F sign) {
    return map(magnitude, sign, [](auto a, auto b) { return vbslq_f32(vdupq_n_u32(0x80000000u), b, a); });
  }
  static HEARTH_INLINE M less(F x, F y) {
    M m;
    for (int i = 0; i < 4; ++i) m.v[i] = vcltq_f32(x.v[i], y.v[i]);
    return m;
  }
  static HEARTH_INLINE F select(M m, F yes, F no) {
    F out;
    for (int i = 0; i < 4; ++i) out.v[i] = vbslq_f32(m.v[i], yes.v[i], no.v[i]);
    return out;
  }
  static HEARTH_INLINE F pow2(F n) {
    return map(n, [](auto a) {
      return vreinterpretq_f32_s32(vshlq_n_s32(vaddq_s32(vcvtnq_s32_f32(a), vdupq_n_s32(127)), 23));
    });
  }
  static HEARTH_INLINE F swap_pairs(F x) {
    return map(x, [](auto a) { return vrev64q_f32(a); });
  }
  static HEARTH_INLINE float first(F x) { return vgetq_lane_f32(x.v[0], 0); }

  static HEARTH_INLINE float sum(F x) {
    float32x4_t z = vaddq_f32(vaddq_f32(x.v[0], x.v[2]), vaddq_f32(x.v[1], x.v[3]));
    float32x2_t y = vadd_f32(vget_low_f32(z), vget_high_f32(z));
    return vget_lane_f32(y, 0) + vget_lane_f32(y, 1);
  }
  static HEARTH_INLINE float max_of(F x) {
    float32x4_t z = vmaxq_f32(vmaxq_f32(x.v[0], x.v[2]), vmaxq_f32(x.v[1], x.v[3]));
    return vmaxvq_f32(z);
  }

  static HEARTH_INLINE void transpose(F (&r)[16]) {
    F t[16];
    for (int row = 0; row < 16; row += 4) {
      for (int column = 0; column < 4; ++column) {
        float32x4_t a = vtrn1q_f32(r[row].v[column], r[row + 1].v[column]);
        float32x4_t b = vtrn2q_f32(r[row].v[column], r[row + 1].v[column]);
        float32x4_t c = vtrn1q_f32(r[row + 2].v[column], r[row + 3].v[column]);
        float32x4_t d = vtrn2q_f32(r[row + 2].v[column], r[row + 3].v[column]);
        t[4 * column].v[row / 4] = pair_low(a, c);
        t[4 * column + 1].v[row / 4] = pair_low(b, d);
        t[4 * column + 2].v[row / 4] = pair_high(a, c);
        t[4 * column + 3].v[row / 4] = pair_high(b, d);
      }
    }
    for (int i = 0; i < 16; ++i) r[i] = t[i];
  }
  static HEARTH_INLINE float32x4_t pair_low(float32x4_t a, float32x4_t b) {
    return vcombine_f32(vget_low_f32(a), vget_low_f32(b));
  }
  static HEARTH_INLINE float32x4_t pair_high(float32x4_t a, float32x4_t b) {
    return vcombine_f32(vget_high_f32(a), vget_high_f32(b));
  }
};

}  // namespace hearth::cpu
