// KlVae: the autoencoder between pictures and latents. Plain convolutions and one attention over all pixels in the
// middle. Any channel multipliers and latent channels; the 1x1 convolutions around the latent are optional. Immutable
// once bound. Encoder and decoder may each be absent from a file.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "models/diffusion/unet_blocks.h"
#include "models/load/named_tensors.h"

namespace hearth {

struct VaeConfig {
  struct Half {
    std::vector<int> channels;  // of each resolution, in the order they run
    std::vector<int> blocks;    // residual blocks of each
    int ends = 0;               // channels at the latent end: 2 x latent (encoder), latent (decoder)
  };
  int latent_channels = 4;
  int picture_channels = 3;
  int groups = 32;
  bool has_quant_conv = false, has_post_quant_conv = false;
  std::optional<Half> encoder, decoder;

  /// `tensors` under diffusers' names, `config` its config.json or null. Throws Error{kCorruptFile, kUnsupported}.
  static VaeConfig of(const NamedTensors& tensors, const Value& config);
  /// Pixels of a picture for one of the latent, in each direction: 8 for SD1 and SDXL.
  int shrink() const;
};

class KlVae {
 public:
  static KlVae bind(Weights& w, const VaeConfig& config);

  /// z [B, h, w, latent], already divided by the model's latent scale -> [B, 8h, 8w, 3], about -1..1.
  Tensor decode(Ctx& c, const Tensor& z) const;
  /// x [B, H, W, 3] in -1..1, H and W multiples of shrink() -> moments [B, H/8, W/8, 2 latent]: means, then log
  /// variances.
  Tensor encode(Ctx& c, const Tensor& x) const;

  const VaeConfig& config() const { return config_; }

 private:
  struct Attention {
    GroupNorm norm;
    Linear q, k, v, o;
    Tensor forward(Ctx& c, const Tensor& x) const;
  };
  struct Middle {
    ResBlock first;
    Attention attention;
    ResBlock second;
    Tensor forward(Ctx& c, const Tensor& x) const;
  };
  struct Level {
    std::vector<ResBlock> blocks;
    std::optional<Conv> resize;
  };
  struct Half {
    Conv in, out;
    std::vector<Level> levels;
    Middle middle;
    GroupNorm norm_out;
  };
  static Middle bind_middle(Weights& w, const std::string& name, int64_t channels, int groups);
  static Half bind_encoder(Weights& w, const VaeConfig& f);
  static Half bind_decoder(Weights& w, const VaeConfig& f);

  VaeConfig config_;
  std::optional<Half> encoder_, decoder_;
  std::optional<Conv> quant_, post_quant_;
};

}  // namespace hearth
