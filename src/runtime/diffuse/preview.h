// Quick pictures of a latent while it is sampled.
#pragma once
#include <optional>
#include <string_view>

#include "models/diffusion/detect.h"
#include "runtime/diffuse/residency.h"
#include "runtime/diffuse/values.h"

namespace hearth::diffuse {

/// From the four channels of a denoiser's latent to red, green and blue in -1..1.
struct ColourMap {
  float factors[4][3];
  float bias[3];
};

/// The model's map: what its file says of itself under `hearth.latent_rgb`, a JSON list of five rows of three numbers
/// (the four channels, then the bias), else what ComfyUI's latent format of the family publishes. Empty for a model
/// without one.
std::optional<ColourMap> colour_map(const Model& model);

/// The first member of `denoised` [B,4,h,w], a latent of the denoiser, as a picture [1,h,w,3] in 0..1. Empty without a
/// map, or for a latent of other channels.
Tensor latent_to_rgb(const std::optional<ColourMap>& map, const Tensor& denoised, Residency& memory);

/// How the files of the family's tiny decoder begin in ComfyUI's folder vae_approx; empty for a family without one.
std::string_view tiny_decoder_name(PictureFamily family);

/// The first member of a latent of the denoiser as the VAE's latents are.
Tensor first_for_vae(const Tensor& denoised, const LatentFormat& latents, Residency& memory);

}  // namespace hearth::diffuse
