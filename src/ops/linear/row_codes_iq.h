// read_codes() of the formats whose groups of 4 or 8 elements are points of a codebook: signed codes, one block each.
#pragma once
#include "ops/linear/byte_words.h"
#include "ops/quant/blocks.h"

namespace hearth {

void codes_of(const quant::BlockIQ1_S& b, uint8_t* codes, float* scale, float* min);
void codes_of(const quant::BlockIQ1_M& b, uint8_t* codes, float* scale, float* min);
void codes_of(const quant::BlockIQ2_XXS& b, uint8_t* codes, float* scale, float* min);
void codes_of(const quant::BlockIQ2_XS& b, uint8_t* codes, float* scale, float* min);
void codes_of(const quant::BlockIQ2_S& b, uint8_t* codes, float* scale, float* min);
void codes_of(const quant::BlockIQ3_XXS& b, uint8_t* codes, float* scale, float* min);
void codes_of(const quant::BlockIQ3_S& b, uint8_t* codes, float* scale, float* min);

}  // namespace hearth
