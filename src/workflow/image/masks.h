// What mask nodes compute, on masks [B,H,W] in 0..1. Each function gives a new tensor.
#pragma once
#include <string_view>

#include "workflow/image/tensors.h"

namespace hearth::workflow {

/// 1 where the pixel's 8-bit colour is 0xRRGGBB.
Tensor color_mask(Allocator& memory, const Tensor& image, int64_t color);

/// `source` onto `destination` at (x, y): "multiply", "add", "subtract", or "and", "or", "xor" of rounded values.
/// Clamped.
Tensor composite_masks(Allocator& memory, const Tensor& destination, const Tensor& source, int64_t x, int64_t y,
                       std::string_view operation);

struct Edges {
  int64_t left = 0, top = 0, right = 0, bottom = 0;
};
/// Fades towards the edges over so many pixels.
Tensor feathered(Allocator& memory, const Tensor& mask, Edges edges);

/// Grey dilation (expand > 0) or erosion by so many pixels; tapered: with a plus, not a square, which rounds corners.
Tensor grown(Allocator& memory, const Tensor& mask, int64_t expand, bool is_tapered);

/// The mask of ImagePadForOutpaint: 1 in the new border, fading into the picture over `feathering` pixels.
Tensor outpaint_mask(Allocator& memory, int64_t height, int64_t width, Edges edges, int64_t feathering);

}  // namespace hearth::workflow
