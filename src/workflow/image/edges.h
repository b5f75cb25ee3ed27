// Canny's edge detector (IEEE PAMI 8(6), 1986), with the numbers ComfyUI's node has.
#pragma once
#include "workflow/image/tensors.h"

namespace hearth::workflow {

/// `image` [B,H,W,C]: grey, or red, green and blue first. Gives [B,H,W,3] of 0 and 1: ridges of the gradient that are
/// above `high`, and those above `low` that touch them. kInvalidArgument when low is above high or a side below 3.
Tensor canny_edges(Allocator& memory, const Tensor& image, float low, float high);

}  // namespace hearth::workflow
