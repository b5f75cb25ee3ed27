// Fewer colours: a palette by median cut (Heckbert 1982), and pictures drawn with it.
#pragma once
#include <string_view>

#include "workflow/image/tensors.h"

namespace hearth::workflow {

/// Each picture of [B,H,W,3] in at most `colors` colours of its own. `dither`: "none", "floyd-steinberg", or "bayer-N"
/// with N 2, 4, 8 or 16; kInvalidArgument for another. A picture of no more colours stays as it is, but for 8 bits.
Tensor quantized(Allocator& memory, const Tensor& image, int64_t colors, std::string_view dither);

}  // namespace hearth::workflow
