// Models whose code does not exist yet (mixtures of experts, latent attention, Gated DeltaNet, FLUX.1), or not in that
// scheme (low-bit pictures), counted from published shapes: weights by the byte rules of their scheme, state by the
// kind of each layer, steps by their matrix products. Everything these subjects say is marked an estimate.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/device/device.h"
#include "models/diffusion/detect.h"
#include "planner/catalogue/quant.h"

namespace hearth::planner {

std::unique_ptr<Subject> estimated_language(const std::string& name, const LmShape& shape, const Quant& quant,
                                            const Caps& target);

/// Picture models of this build, denoisers in a scheme that it does not keep them in: their matrices are counted in it,
/// and their convolutions where its numbers stand alone; text encoders, VAE and arena are measured in 16 bits.
std::unique_ptr<Subject> estimated_picture(const std::string& name, std::vector<PictureFile> files, const Quant& quant,
                                           const Caps& caps);

/// FLUX.1: transformer and T5-XXL are counted, CLIP-L and VAE are this build's and measured.
std::unique_ptr<Subject> estimated_flux(const std::string& name, const Quant& quant, const Caps& caps);

}  // namespace hearth::planner
