// Putting pictures together: blending, pasting with a mask, Porter and Duff's operators.
#pragma once
#include <string_view>

#include "workflow/image/tensors.h"

namespace hearth::workflow {

/// Both images with as many channels: what lacks alpha gets an opaque one.
std::pair<Tensor, Tensor> with_equal_channels(Allocator& memory, const Tensor& a, const Tensor& b);

/// `source` with the channels of `destination`: surplus alpha is dropped, missing alpha is opaque.
Tensor with_channels_of(Allocator& memory, const Tensor& destination, const Tensor& source);

/// "normal", "multiply", "screen", "overlay", "soft_light" or "difference" of equal shapes, mixed in by `factor`.
/// Clamped.
Tensor blended(Allocator& memory, const Tensor& a, const Tensor& b, double factor, std::string_view mode);

/// `source` [B,C,h,w] or [B,h,w,C] pasted onto `destination` at (x, y) in units of 1/`unit` elements, weighted by
/// `mask` (any size; empty: everywhere). What lies outside is cut off.
struct Paste {
  MapOrder order = MapOrder::kNhwc;
  int64_t x = 0, y = 0, unit = 1;
  bool is_source_resized = false;
};
Tensor pasted(Allocator& memory, const Tensor& destination, const Tensor& source, const Tensor& mask,
              const Paste& paste);

/// Names in ComfyUI's order: "ADD" ... "XOR".
const std::vector<std::string>& porter_duff_modes();
struct MaskedImage {
  Tensor image;  // [B,H,W,C]
  Tensor mask;   // [B,H,W], 1 - alpha
};
/// Sizes and batches equal.
MaskedImage porter_duff(Allocator& memory, const MaskedImage& source, const MaskedImage& destination,
                        std::string_view mode);

}  // namespace hearth::workflow
