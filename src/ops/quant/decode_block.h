// One block to floats, one overload per format: decode_row() picks by type. `out` takes Block::kElements values.
#pragma once
#include "ops/quant/blocks.h"

namespace hearth::quant {

// decode_legacy.cpp: 32 elements, one or two halves.
void decode(const BlockQ4_0& block, float* out);
void decode(const BlockQ4_1& block, float* out);
void decode(const BlockQ5_0& block, float* out);
void decode(const BlockQ5_1& block, float* out);
void decode(const BlockQ8_0& block, float* out);
void decode(const BlockQ8_1& block, float* out);

// decode_k.cpp: 256 elements, scales that are themselves quantised.
void decode(const BlockQ2_K& block, float* out);
void decode(const BlockQ3_K& block, float* out);
void decode(const BlockQ4_K& block, float* out);
void decode(const BlockQ5_K& block, float* out);
void decode(const BlockQ6_K& block, float* out);
void decode(const BlockQ8_K& block, float* out);

// decode_iq.cpp: groups of 4 or 8 elements are points of a codebook; IQ4 looks single elements up.
void decode(const BlockIQ1_S& block, float* out);
void decode(const BlockIQ1_M& block, float* out);
void decode(const BlockIQ2_XXS& block, float* out);
void decode(const BlockIQ2_XS& block, float* out);
void decode(const BlockIQ2_S& block, float* out);
void decode(const BlockIQ3_XXS& block, float* out);
void decode(const BlockIQ3_S& block, float* out);
void decode(const BlockIQ4_NL& block, float* out);
void decode(const BlockIQ4_XS& block, float* out);

// decode_low.cpp: one to two bits.
void decode(const BlockTQ1_0& block, float* out);
void decode(const BlockTQ2_0& block, float* out);
void decode(const BlockQ1_0& block, float* out);
void decode(const BlockQ2_0& block, float* out);

// decode_fp4.cpp: E2M1 elements with 8-bit scales.
void decode(const BlockMXFP4& block, float* out);
void decode(const BlockNVFP4& block, float* out);

struct ScaleMin {
  int scale, min;
};
/// The 6-bit scale and minimum of sub-block `sub` (0 to 7) out of the 12 bytes that Q4_K and Q5_K share.
ScaleMin k_scale_min(const uint8_t* scales, int sub);

}  // namespace hearth::quant
