// The ggml block formats as they lie in a file: little endian, no padding, halves as their bits. kElements values are
// packed into sizeof(Block) bytes. A pointer into a file need not be aligned for these: copy a block out first, or
// use byte loads. What the fields mean is said by runs_*.h.
#pragma once
#include <cstdint>

#include "core/tensor/dtype.h"

namespace hearth::quant {

inline constexpr int kSuper = 256;  // elements of a super-block (ggml's QK_K)

template <DType T, int N>
struct Packed {
  static constexpr DType kType = T;
  static constexpr int kElements = N;
};

// clang-format off
struct BlockQ4_0 : Packed<DType::kQ4_0, 32> { uint16_t d; uint8_t qs[16]; };
struct BlockQ4_1 : Packed<DType::kQ4_1, 32> { uint16_t d, m; uint8_t qs[16]; };
struct BlockQ5_0 : Packed<DType::kQ5_0, 32> { uint16_t d; uint8_t qh[4]; uint8_t qs[16]; };
struct BlockQ5_1 : Packed<DType::kQ5_1, 32> { uint16_t d, m; uint8_t qh[4]; uint8_t qs[16]; };
struct BlockQ8_0 : Packed<DType::kQ8_0, 32> { uint16_t d; int8_t qs[32]; };
struct BlockQ8_1 : Packed<DType::kQ8_1, 32> { uint16_t d, s; int8_t qs[32]; };  // s = d * sum of qs

struct BlockQ2_K : Packed<DType::kQ2_K, kSuper> { uint8_t scales[16]; uint8_t qs[64]; uint16_t d, dmin; };
struct BlockQ3_K : Packed<DType::kQ3_K, kSuper> { uint8_t hmask[32]; uint8_t qs[64]; uint8_t scales[12]; uint16_t d; };
struct BlockQ4_K : Packed<DType::kQ4_K, kSuper> { uint16_t d, dmin; uint8_t scales[12]; uint8_t qs[128]; };
struct BlockQ5_K : Packed<DType::kQ5_K, kSuper> {
  uint16_t d, dmin; uint8_t scales[12]; uint8_t qh[32]; uint8_t qs[128];
};
struct BlockQ6_K : Packed<DType::kQ6_K, kSuper> { uint8_t ql[128]; uint8_t qh[64]; int8_t scales[16]; uint16_t d; };
struct BlockQ8_K : Packed<DType::kQ8_K, kSuper> { float d; int8_t qs[256]; int16_t bsums[16]; };

struct BlockIQ1_S : Packed<DType::kIQ1_S, kSuper> { uint16_t d; uint8_t qs[32]; uint16_t qh[8]; };
struct BlockIQ1_M : Packed<DType::kIQ1_M, kSuper> { uint8_t qs[32]; uint8_t qh[16]; uint8_t scales[8]; };
struct BlockIQ2_XXS : Packed<DType::kIQ2_XXS, kSuper> { uint16_t d; uint8_t qs[64]; };
struct BlockIQ2_XS : Packed<DType::kIQ2_XS, kSuper> { uint16_t d; uint16_t qs[32]; uint8_t scales[8]; };
struct BlockIQ2_S : Packed<DType::kIQ2_S, kSuper> {
  uint16_t d; uint8_t qs[32]; uint8_t signs[32]; uint8_t qh[8]; uint8_t scales[8];
};
struct BlockIQ3_XXS : Packed<DType::kIQ3_XXS, kSuper> { uint16_t d; uint8_t qs[64]; uint8_t scales_and_signs[32]; };
struct BlockIQ3_S : Packed<DType::kIQ3_S, kSuper> {
  uint16_t d; uint8_t qs[64]; uint8_t qh[8]; uint8_t signs[32]; uint8_t scales[4];
};
struct BlockIQ4_NL : Packed<DType::kIQ4_NL, 32> { uint16_t d; uint8_t qs[16]; };
struct BlockIQ4_XS : Packed<DType::kIQ4_XS, kSuper> {
  uint16_t d; uint16_t scales_h; uint8_t scales_l[4]; uint8_t qs[128];
};

struct BlockTQ1_0 : Packed<DType::kTQ1_0, kSuper> { uint8_t qs[48]; uint8_t qh[4]; uint16_t d; };
struct BlockTQ2_0 : Packed<DType::kTQ2_0, kSuper> { uint8_t qs[64]; uint16_t d; };
struct BlockQ1_0 : Packed<DType::kQ1_0, 128> { uint16_t d; uint8_t qs[16]; };
struct BlockQ2_0 : Packed<DType::kQ2_0, 64> { uint16_t d; uint8_t qs[16]; };

struct BlockMXFP4 : Packed<DType::kMXFP4, 32> { uint8_t e; uint8_t qs[16]; };
struct BlockNVFP4 : Packed<DType::kNVFP4, 64> { uint8_t d[4]; uint8_t qs[32]; };
// clang-format on

}  // namespace hearth::quant
