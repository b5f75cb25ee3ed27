// read_codes() of the codebook and FP4 formats: signed codes, one block each. Bytes are handled eight at a time in
// 64-bit words.
#pragma once
#include "ops/quant/blocks.h"

namespace hearth {

void codes_of(const quant::BlockIQ1_S& b, uint8_t* codes, float* scale, float* min);
void codes_of(const quant::BlockIQ1_M& b, uint8_t* codes, float* scale, float* min);
void codes_of(const quant::BlockIQ2_XXS& b, uint8_t* codes, float* scale, float* min);
void codes_of(const quant::BlockIQ2_XS& b, uint8_t* codes, float* scale, float* min);
void codes_of(const quant::BlockIQ2_S& b, uint8_t* codes, float* scale, float* min);
void codes_of(const quant::BlockIQ3_XXS& b, uint8_t* codes, float* scale, float* min);
void codes_of(const quant::BlockIQ3_S& b, uint8_t* codes, float* scale, float* min);
void codes_of(const quant::BlockIQ4_NL& b, uint8_t* codes, float* scale, float* min);
void codes_of(const quant::BlockIQ4_XS& b, uint8_t* codes, float* scale, float* min);
void codes_of(const quant::BlockMXFP4& b, uint8_t* codes, float* scale, float* min);
void codes_of(const quant::BlockNVFP4& b, uint8_t* codes, float* scale, float* min);

}  // namespace hearth
