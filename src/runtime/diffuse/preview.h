// Quick pictures of a latent while it is sampled.
#pragma once
#include <string_view>

#include "models/diffusion/detect.h"
#include "runtime/diffuse/residency.h"

namespace hearth::diffuse {

/// The first member of `denoised` [B,4,h,w], a latent of the denoiser, as a picture [1,h,w,3] in 0..1: a linear map
/// from its channels to colours, with the numbers ComfyUI's latent formats publish. Empty for a family without one.
Tensor latent_to_rgb(PictureFamily family, const Tensor& denoised, Residency& memory);

/// How the files of the family's tiny decoder begin in ComfyUI's folder vae_approx; empty for a family without one.
std::string_view tiny_decoder_name(PictureFamily family);

/// The first member of a latent of the denoiser in the scale of the VAE's latents.
Tensor first_for_vae(const Tensor& denoised, float latent_scale, Residency& memory);

}  // namespace hearth::diffuse
