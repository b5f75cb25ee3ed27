// What a workflow's MODEL, CLIP and VAE stand for: networks as found in files. Headers only: the weights are in memory
// while Residency keeps them there. Immutable, shared.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "models/diffusion/detect.h"

namespace hearth::diffuse {

/// What a model was trained to draw, in pixels: said by the file (modelspec.resolution), else the family's usual size.
struct NativeSize {
  int64_t width = 0, height = 0;
};
NativeSize native_size(const PictureFile& file);

class DiffusionFile {
 public:
  explicit DiffusionFile(std::shared_ptr<const PictureFile> file) : file_(std::move(file)) {}
  const PictureFile& file() const { return *file_; }
  const UnetConfig& config() const { return file_->unet->config; }
  std::string key() const { return "unet " + file_->path; }

 private:
  std::shared_ptr<const PictureFile> file_;
};

class TextFiles {
 public:
  /// CLIP-L before bigG where there are two.
  explicit TextFiles(std::vector<std::shared_ptr<const PictureFile>> files);
  struct Encoder {
    PicturePart<ClipConfig> part;
    std::string key;
    bool is_g = false;  // an OpenCLIP encoder: pads with 0 and gets the words meant for it
  };
  const std::vector<Encoder>& encoders() const { return encoders_; }
  /// Which layer's output conditions the denoiser where the workflow does not say, and whether the final norm follows.
  int layer() const { return layer_; }
  bool normalises() const { return normalises_; }

 private:
  std::vector<std::shared_ptr<const PictureFile>> files_;
  std::vector<Encoder> encoders_;
  int layer_ = -1;
  bool normalises_ = true;
};

class VaeFile {
 public:
  explicit VaeFile(std::shared_ptr<const PictureFile> file) : file_(std::move(file)) {}
  const PictureFile& file() const { return *file_; }
  std::string key() const { return "vae " + file_->path; }
  bool is_tiny() const { return !file_->vae; }
  int64_t latent_channels() const {
    return is_tiny() ? file_->tiny_vae->config.latent_channels : file_->vae->config.latent_channels;
  }
  int64_t shrink() const { return is_tiny() ? file_->tiny_vae->config.shrink() : file_->vae->config.shrink(); }
  /// What a tiny decoder's latents are times those of the VAE: its file does not say, its name does, as in ComfyUI.
  float tiny_scale() const;

 private:
  std::shared_ptr<const PictureFile> file_;
};

}  // namespace hearth::diffuse
