// read_codes() of the formats whose groups of 4 or 8 elements are points of a codebook: blocks of a whole chunk.
#pragma once
#include <span>

#include "ops/linear/row_codes.h"
#include "ops/quant/blocks.h"

namespace hearth {

void codes_of_points(const quant::BlockIQ1_S& b, RowCodes& out);
void codes_of_points(const quant::BlockIQ1_M& b, RowCodes& out);
void codes_of_points(const quant::BlockIQ2_XXS& b, RowCodes& out);
void codes_of_points(const quant::BlockIQ2_XS& b, RowCodes& out);
void codes_of_points(const quant::BlockIQ2_S& b, RowCodes& out);
void codes_of_points(const quant::BlockIQ3_XXS& b, RowCodes& out);
void codes_of_points(const quant::BlockIQ3_S& b, RowCodes& out);

/// IQ1's values are points of {-1, 0, 1} plus or minus an eighth: in eighths, above a zero that keeps every byte
/// positive, so that kIq1Twos taken from a word of eight turns plus into minus without a borrow.
inline constexpr int kIq1Zero = 16;
inline constexpr uint64_t kIq1Twos = 0x0202020202020202u;
/// The codebook as such words, an eighth above the points. They live for the process.
std::span<const uint64_t, 2048> iq1_words();

}  // namespace hearth
