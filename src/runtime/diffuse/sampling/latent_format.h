// LatentFormat: how the latents of a denoiser lie to those of its VAE, channel by channel. A plain value.
#pragma once
#include <span>
#include <vector>

#include "runtime/diffuse/sampling/field.h"

namespace hearth::diffuse {

struct LatentFormat {
  float scale = 1;
  std::vector<float> mean, deviation;  // of the VAE's channels; empty: 0 and 1

  /// In place, NCHW: the denoiser's numbers for the VAE's.
  void to_model(std::span<float> latent, const LatentShape& shape) const;
  /// In place, NCHW: the VAE's numbers for the denoiser's.
  void to_vae(std::span<float> latent, const LatentShape& shape) const;
  friend bool operator==(const LatentFormat&, const LatentFormat&) = default;
};

/// Playground v2.5's (arXiv 2402.17245, appendix): every channel with its mean and deviation, to half a unit.
LatentFormat playground_latents();

/// Whether there is anything in a latent: all zeros stand for no picture and have no scale.
bool is_blank(std::span<const float> latent);

}  // namespace hearth::diffuse
