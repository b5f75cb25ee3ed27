// The kernels with NEON. Four registers hold 4 columns of 16 rows. Codes stay as they are, unsigned ones fit int8 too.
// Expanding and rounding is plain NEON at every level; multiplying bytes is plain here and better in
// linear_cpu_neon_dot.cpp.
#if defined(__aarch64__)
#include <arm_neon.h>

#include <cstring>

#include "ops/linear/neon_kernels.h"
#include "ops/simd/target.h"
//
#include "ops/linear/neon_dot.h"

namespace hearth::cpu {
namespace {

constexpr int kRows = rows16::kRows;

HEARTH_INLINE uint8x16_t load_codes(const void* from) { return vld1q_u8(static_cast<const uint8_t*>(from)); }
HEARTH_INLINE float32x4_t load_halves(const std::byte* from) {
  float16x4_t halves;
  std::memcpy(&halves, from, sizeof(halves));
  return vcvt_f32_f16(halves);
}

// Codes of a block out of the planes of rows16.h, 16 bytes (4 rows) of each quad at a time.
template <int kBits>
HEARTH_INLINE uint8x16_t quad_codes(const std::byte* low, const std::byte* high, int q, int at) {
  if constexpr (kBits == 8) return load_codes(low + q * 64 + at);
  const uint8x16_t four = vdupq_n_u8(15);
  uint8x16_t pair = load_codes(low + q % 4 * 64 + at);
  uint8x16_t c = q < 4 ? vandq_u8(pair, four) : vshrq_n_u8(pair, 4);
  if constexpr (kBits == 5) {
    uint8x16_t moved = vshlq_u8(load_codes(high + at), vdupq_n_s8(static_cast<int8_t>(4 - q)));
    c = vorrq_u8(c, vandq_u8(moved, vdupq_n_u8(16)));
  } else if constexpr (kBits == 6) {
    uint8x16_t plane = load_codes(high + q / 4 * 64 + at);
    uint8x16_t moved = vshlq_u8(plane, vdupq_n_s8(static_cast<int8_t>(4 - 2 * (q % 4))));
    c = vorrq_u8(c, vandq_u8(moved, vdupq_n_u8(48)));
  }
  return c;
}

template <int kBits>
void expand_codes(const std::byte* tile, const rows16::Chunk& at, Panel& panel) {
  for (int64_t b = 0; b < at.blocks; ++b) {
    const std::byte* low = tile + at.low + b * (kBits == 8 ? 512 : 256);
    const std::byte* high = tile + at.high + b * (kBits == 6 ? 128 : 64);
    for (int row = 0; row < 64; row += 16) {
      HEARTH_UNROLL
      for (int q = 0; q < 8; ++q) vst1q_u8(panel.codes + b * 512 + q * 64 + row, quad_codes<kBits>(low, high, q, row));
    }
  }
}

void expand_halves(const std::byte* from, int64_t n, float* to) {
  for (int64_t i = 0; i < n * kRows; i += 4) vst1q_f32(to + i, load_halves(from + 2 * i));
}

// to[16] = d[16] * values, which are eight words each of two registers.
HEARTH_INLINE void scale_words(const float32x4_t (&d)[4], int16x8_t first, int16x8_t second, float* to) {
  vst1q_f32(to, vmulq_f32(d[0], vcvtq_f32_s32(vmovl_s16(vget_low_s16(first)))));
  vst1q_f32(to + 4, vmulq_f32(d[1], vcvtq_f32_s32(vmovl_s16(vget_high_s16(first)))));
  vst1q_f32(to + 8, vmulq_f32(d[2], vcvtq_f32_s32(vmovl_s16(vget_low_s16(second)))));
  vst1q_f32(to + 12, vmulq_f32(d[3], vcvtq_f32_s32(vmovl_s16(vget_high_s16(second)))));
}

HEARTH_INLINE void scale_bytes(const float32x4_t (&d)[4], int8x16_t bytes, float* to) {
  scale_words(d, vmovl_s8(vget_low_s8(bytes)), vmovl_s8(vget_high_s8(bytes)), to);
}

void expand_sub_scales(const std::byte* tile, const rows16::Chunk& at, Panel& panel) {
  const uint8x16_t nibble = vdupq_n_u8(15), high_bits = vdupq_n_u8(0x30);
  float32x4_t d[4], minus[4];
  for (int i = 0; i < 4; ++i) {
    d[i] = load_halves(tile + at.d + 8 * i);
    minus[i] = vnegq_f32(load_halves(tile + at.m + 8 * i));
  }
  for (int s = 0; s < 8; ++s) {
    uint8x16_t low = load_codes(tile + at.sub + s * 16), high = load_codes(tile + at.sub + 128 + s / 2 * 16);
    high = vandq_u8(vshlq_u8(high, vdupq_n_s8(static_cast<int8_t>(-4 * (s % 2)))), nibble);
    uint8x16_t scale = vorrq_u8(vandq_u8(low, nibble), vandq_u8(vshlq_n_u8(high, 4), high_bits));
    uint8x16_t min = vorrq_u8(vshrq_n_u8(low, 4), vandq_u8(vshlq_n_u8(high, 2), high_bits));
    scale_bytes(d, vreinterpretq_s8_u8(scale), panel.scale + s * kRows);  // 6 bits: never negative
    scale_bytes(minus, vreinterpretq_s8_u8(min), panel.min + s * kRows);
  }
}

void expand_signed_sub_scales(const std::byte* tile, const rows16::Chunk& at, Panel& panel) {
  float32x4_t d[4];
  for (int i = 0; i < 4; ++i) d[i] = load_halves(tile + at.d + 8 * i);
  for (int s = 0; s < 16; ++s) {
    scale_bytes(d, vreinterpretq_s8_u8(load_codes(tile + at.sub + s * 16)), panel.scale + s * kRows);
  }
}

// E5M2 is the upper byte of a half. E4M3 has the exponent's place one bit lower and a bias that is 8 less.
HEARTH_INLINE float32x4_t load_f8(DType scheme, const std::byte* from) {
  uint32_t word;
  std::memcpy(&word, from, sizeof(word));
  int16x4_t bits = vget_low_s16(vmovl_s8(vcreate_s8(word)));
  if (scheme == DType::kF8E5M2) return vcvt_f32_f16(vreinterpret_f16_s16(vshl_n_s16(bits, 8)));
  uint16x4_t half = vand_u16(vreinterpret_u16_s16(vshl_n_s16(bits, 7)), vdup_n_u16(0xbfff));
  half = vorr_u16(half, vceq_u16(vand_u16(half, vdup_n_u16(0x7fff)), vdup_n_u16(0x3f80)));  // NaN
  return vmulq_n_f32(vcvt_f32_f16(vreinterpret_f16_u16(half)), 0x1p8f);
}

HEARTH_INLINE float32x4_t load_floats(DType scheme, const std::byte* from) {
  if (scheme == DType::kF8E4M3 || scheme == DType::kF8E5M2) return load_f8(scheme, from);
  if (scheme == DType::kF16) return load_halves(from);
  if (scheme == DType::kF32) return vld1q_f32(reinterpret_cast<const float*>(from));
  uint16x4_t bits;
  std::memcpy(&bits, from, sizeof(bits));
  return vreinterpretq_f32_u32(vshlq_n_u32(vmovl_u16(bits), 16));
}

// Without a dot product: two quads' products fit 16 bits, 2 * 128 * 127 < 2^15.
struct PlainBytes {
  static constexpr int kGroup = 2;

  template <int kQuads, int kGroup>
  static HEARTH_INLINE void dot(const int8_t* codes, const int8_t* x, int64_t x_stride, int32x4_t (&sums)[kGroup][4]) {
    for (int g = 0; g < 4; ++g) {
      int32x4_t low[kGroup], high[kGroup];
      HEARTH_UNROLL
      for (int r = 0; r < kGroup; ++r) low[r] = high[r] = vdupq_n_s32(0);
      HEARTH_UNROLL
      for (int q = 0; q < kQuads; q += 2) {
        int8x16_t w0 = vld1q_s8(codes + q * 64 + g * 16), w1 = vld1q_s8(codes + q * 64 + 64 + g * 16);
        HEARTH_UNROLL
        for (int r = 0; r < kGroup; ++r) {
          int8x8_t x0 = four_of(x + r * x_stride + q * 4), x1 = four_of(x + r * x_stride + q * 4 + 4);
          int16x8_t of_low = vmlal_s8(vmull_s8(vget_low_s8(w0), x0), vget_low_s8(w1), x1);
          int16x8_t of_high = vmlal_s8(vmull_s8(vget_high_s8(w0), x0), vget_high_s8(w1), x1);
          low[r] = vpadalq_s16(low[r], of_low);
          high[r] = vpadalq_s16(high[r], of_high);
        }
      }
      HEARTH_UNROLL
      for (int r = 0; r < kGroup; ++r) sums[r][g] = vaddq_s32(sums[r][g], vpaddq_s32(low[r], high[r]));
    }
  }

  static HEARTH_INLINE int8x8_t four_of(const int8_t* q) {
    int32_t word;
    std::memcpy(&word, q, sizeof(word));
    return vreinterpret_s8_s32(vdup_n_s32(word));
  }
};

}  // namespace

namespace neon {

void quantize(const float* x, int64_t n, XBlock* out) {
  for (int64_t i = 0; i < n; i += 32, ++out) {
    float32x4_t most = vdupq_n_f32(0);
    for (int j = 0; j < 32; j += 4) most = vmaxq_f32(most, vabsq_f32(vld1q_f32(x + i + j)));
    float largest = vmaxvq_f32(most), inverse = largest > 0 ? 127.0f / largest : 0.0f;
    int32_t sums[2];
    for (int half = 0; half < 2; ++half) {
      int32x4_t q[4];
      for (int j = 0; j < 4; ++j) {
        q[j] = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + i + half * 16 + j * 4), inverse));
      }
      int16x8_t first = vcombine_s16(vmovn_s32(q[0]), vmovn_s32(q[1]));
      int16x8_t second = vcombine_s16(vmovn_s32(q[2]), vmovn_s32(q[3]));
      vst1q_s8(out->q + half * 16, vcombine_s8(vmovn_s16(first), vmovn_s16(second)));
      sums[half] = vaddvq_s32(vaddq_s32(vaddq_s32(q[0], q[1]), vaddq_s32(q[2], q[3])));
    }
    out->d = largest * (1.0f / 127.0f);
    out->d_sum = out->d * static_cast<float>(sums[0] + sums[1]);
    out->minus_sum = -(sums[0] + sums[1]);
    for (int half = 0; half < 2; ++half) {
      out->d_half_sum[half] = out->d * static_cast<float>(sums[half]);
      out->minus_half_sum[half] = -sums[half];
    }
    out->unused = 0;
  }
}

void expand(DType scheme, const std::byte* tile, const rows16::Chunk& at, Panel& panel) {
  switch (scheme) {
    case DType::kQ8_0:
    case DType::kQ8_1: expand_codes<8>(tile, at, panel); break;
    case DType::kQ6_K: expand_codes<6>(tile, at, panel); break;
    case DType::kQ5_0:
    case DType::kQ5_1:
    case DType::kQ5_K: expand_codes<5>(tile, at, panel); break;
    default: expand_codes<4>(tile, at, panel);
  }
  if (scheme == DType::kQ4_K || scheme == DType::kQ5_K) return expand_sub_scales(tile, at, panel);
  if (scheme == DType::kQ6_K) return expand_signed_sub_scales(tile, at, panel);
  expand_halves(tile + at.d, at.blocks, panel.scale);
  if (panel.coding.has_min) expand_halves(tile + at.m, at.blocks, panel.min);
}

// Sixteen bytes, negated where the bits of two are set.
HEARTH_INLINE uint8x16_t negated(uint8x16_t bytes, const uint8_t* bits) {
  const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201u));
  uint8x16_t mask = vtstq_u8(vcombine_u8(vdup_n_u8(bits[0]), vdup_n_u8(bits[1])), bit);
  return vsubq_u8(veorq_u8(bytes, mask), mask);
}

void interleave(const RowCodes* rows, Panel& panel) {
  const int8_t* levels = panel.coding.levels;
  const int8x16_t table = levels ? vld1q_s8(levels) : vdupq_n_s8(0);
  for (int64_t b = 0; b < panel.blocks * 32; b += 16) {
    for (int first = 0; first < kRows; first += 4) {
      uint32x4_t in[4];
      for (int r = 0; r < 4; ++r) {
        uint8x16_t codes = vld1q_u8(rows[first + r].codes + b);
        if (levels) codes = vreinterpretq_u8_s8(vqtbl1q_s8(table, codes));
        if (panel.coding.has_signs) codes = negated(codes, rows[first + r].signs + b / 8);
        in[r] = vreinterpretq_u32_u8(codes);
      }
      uint32x4x2_t even = vzipq_u32(in[0], in[2]), odd = vzipq_u32(in[1], in[3]);
      uint32x4x2_t low = vzipq_u32(even.val[0], odd.val[0]), high = vzipq_u32(even.val[1], odd.val[1]);
      const uint32x4_t quads[] = {low.val[0], low.val[1], high.val[0], high.val[1]};
      for (int q = 0; q < 4; ++q) {
        vst1q_u8(panel.codes + b * kRows + q * 64 + first * 4, vreinterpretq_u8_u32(quads[q]));
      }
    }
  }
  const int64_t n_scales = panel.blocks * 32 / panel.coding.columns;
  for (int r = 0; r < kRows; ++r) {
    for (int64_t s = 0; s < n_scales; ++s) panel.scale[s * kRows + r] = rows[r].scale[s];
    for (int64_t s = 0; panel.coding.has_min && s < n_scales; ++s) panel.min[s * kRows + r] = rows[r].min[s];
  }
}

void expand_float(DType scheme, const std::byte* chunk, int64_t columns, float* w) {
  const int64_t size = info(scheme).block_bytes;
  for (int64_t i = 0; i < columns; ++i) {
    for (int r = 0; r < kRows; r += 4) {
      vst1q_f32(w + i * kRows + r, load_floats(scheme, chunk + (i * kRows + r) * size));
    }
  }
}

}  // namespace neon

constinit const LinearKernels kLinearNeon{neon::quantize,   neon::expand,    read_rows,
                                          neon::interleave, dot<PlainBytes>, neon::expand_float};

}  // namespace hearth::cpu
#endif
