// The networks inside one file, found by the prefixes that programs give their names.
#pragma once
#include <memory>
#include <optional>

#include "models/diffusion/detect.h"

namespace hearth {

/// Fills in what `file` holds of `out`. `config` is the config.json beside it, or null: it applies to the one network a
/// folder of diffusers' has.
void find_unet(PictureFile& out, std::shared_ptr<const TensorFile> file, const Value& config);
void find_text_encoders(PictureFile& out, std::shared_ptr<const TensorFile> file, const Value& config);
void find_vae(PictureFile& out, std::shared_ptr<const TensorFile> file, const Value& config);
void find_tiny_vae(PictureFile& out, std::shared_ptr<const TensorFile> file);
void find_adapters(PictureFile& out, std::shared_ptr<const TensorFile> file);

}  // namespace hearth
