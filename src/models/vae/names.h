// Names of autoencoders' tensors in the layouts files have them, translated to the ones bind code uses.
#pragma once
#include <string>
#include <string_view>

namespace hearth {

/// The original layout ("decoder.up.3.block.0.conv1.weight") or an older diffusers one to diffusers' names
/// ("decoder.up_blocks.0.resnets.0.conv1.weight"). `n_up`: resolutions going up, which the original counts from the
/// picture. Names that are diffusers' already come back unchanged.
std::string vae_name(std::string_view name, int n_up);

/// "taesd_decoder.3.conv.0.weight", diffusers' "decoder.layers.2.conv.0.weight" or, of a file with one half only,
/// `half` and "3.conv.0.weight" to "decoder.3.conv.0.weight"; "" for anything else.
std::string tiny_vae_name(std::string_view name, std::string_view half);

}  // namespace hearth
