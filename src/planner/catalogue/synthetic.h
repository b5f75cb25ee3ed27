// Header-only checkpoints: tensor tables with names, shapes and encodings but no bytes, so that the code that measures
// files measures models nobody has downloaded.
#pragma once
#include <string>

#include "models/diffusion/detect.h"
#include "models/load/checkpoint.h"
#include "planner/catalogue/quant.h"

namespace hearth::planner {

/// As a GGUF file of a dense decoder would read.
Checkpoint synthetic_checkpoint(const std::string& name, const LmShape& shape, const Quant& quant);

/// "sd1", "sdxl" or "sdxl_refiner" with its text encoders and VAE, matrices and convolutions as `scheme`.
PictureFile synthetic_picture(const std::string& family, DType scheme);

/// The autoencoder of SD1 and SDXL, or FLUX's with 16 channels.
PicturePart<VaeConfig> synthetic_vae(int latent_channels, DType scheme);
/// CLIP-L (768) or OpenCLIP bigG (1280).
PicturePart<ClipConfig> synthetic_clip(bool is_g, DType scheme);

}  // namespace hearth::planner
