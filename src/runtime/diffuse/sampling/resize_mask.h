// Masks and latents brought to a latent's size and batch, with the rules of ComfyUI's helpers.
#pragma once
#include <span>
#include <vector>

#include "core/tensor/tensor.h"
#include "runtime/diffuse/sampling/field.h"

namespace hearth::diffuse {

/// `planes` pictures of one channel, bilinear, half-pixel centres.
struct Planes {
  int64_t count = 0, height = 0, width = 0;
  std::vector<float> values;
  std::span<const float> plane(int64_t i) const {
    return std::span(values).subspan(static_cast<size_t>(i * height * width), static_cast<size_t>(height * width));
  }
};

/// The planes of a mask [H,W] or [b,H,W], or of a latent [b,C,h,w] (b*C of them).
Planes planes_of(const Tensor& tensor);
/// Bilinear, not antialiased.
Planes resized(const Planes& from, int64_t height, int64_t width);
/// The middle part that has the aspect height : width.
Planes centre_cropped(const Planes& from, int64_t height, int64_t width);
/// Which of `have` members stands for member i of `want`: the first ones, spread over the batch.
int64_t spread_member(int64_t i, int64_t have, int64_t want);

/// A latent's noise mask [B,C,h,w] from a mask of any size: resized, one for all channels, repeated over the batch.
Field noise_mask(const Tensor& mask, const LatentShape& shape);

}  // namespace hearth::diffuse
