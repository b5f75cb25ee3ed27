// Grey morphology with a square: the largest or smallest value around each pixel, and what is made of the two.
#pragma once
#include <string_view>

#include "workflow/image/tensors.h"

namespace hearth::workflow {

/// "erode", "dilate", "open", "close", "gradient", "bottom_hat" or "top_hat" of [B,H,W,C] with a square of `side`
/// pixels, each channel by itself; what lies outside counts for nothing. kInvalidArgument for another word.
Tensor morphed(Allocator& memory, const Tensor& image, std::string_view operation, int64_t side);

}  // namespace hearth::workflow
