// Models whose code does not exist yet (mixtures of experts, latent attention, Gated DeltaNet, FLUX.1), counted from
// published shapes: weights by the byte rules of their scheme, state by the kind of each layer, steps by their matrix
// products. Everything these subjects say is marked an estimate.
#pragma once
#include "core/device/device.h"
#include "planner/catalogue/quant.h"

namespace hearth::planner {

std::unique_ptr<Subject> estimated_language(const std::string& name, const LmShape& shape, const Quant& quant);

/// FLUX.1: transformer and T5-XXL are counted, CLIP-L and VAE are this build's and measured.
std::unique_ptr<Subject> estimated_flux(const std::string& name, const Quant& quant, const Caps& caps);

}  // namespace hearth::planner
