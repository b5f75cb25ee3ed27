// TinyVae: a small convolutional stand-in for the VAE (TAESD, TAESDXL, TAEF1), for previews and quick decoding. Its
// latents are the denoiser's own: already multiplied by the family's latent scale. Immutable once bound; encoder and
// decoder may each be absent.
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "models/blocks/spatial.h"
#include "models/load/named_tensors.h"

namespace hearth {

struct TinyVaeConfig {
  enum class Layer { kConv, kStride, kBlock, kUpsample, kRelu };
  struct Half {
    std::vector<Layer> layers;  // by their place in the file; the decoder's first, a clamp, is left out
    int first = 0;              // place of the first
    int channels = 64;          // inside
    int in = 0, out = 0;
  };
  std::optional<Half> encoder, decoder;
  int latent_channels = 4;

  /// Pixels to a latent pixel, on a side: 8 of the published ones.
  int shrink() const;
  /// `tensors` as "encoder.N..." and "decoder.N...", numbered as the original has them. Throws Error{kCorruptFile}.
  static TinyVaeConfig of(const NamedTensors& tensors);
};

class TinyVae {
 public:
  static TinyVae bind(Weights& w, const TinyVaeConfig& config);

  /// z [B, h, w, latent] -> [B, 8h, 8w, 3] (8: shrink()), about -1..1.
  Tensor decode(Ctx& c, const Tensor& z) const;
  /// x [B, H, W, 3] in -1..1 -> [B, H/8, W/8, latent].
  Tensor encode(Ctx& c, const Tensor& x) const;

  const TinyVaeConfig& config() const { return config_; }

 private:
  struct Layer {
    TinyVaeConfig::Layer kind;
    Conv a, b, d;  // a alone, or the three of a block
    Tensor forward(Ctx& c, const Tensor& x) const;
  };
  static std::vector<Layer> bind_half(Weights& w, const std::string& name, const TinyVaeConfig::Half& f);
  static Tensor run(Ctx& c, const std::vector<Layer>& layers, Tensor x);

  TinyVaeConfig config_;
  std::vector<Layer> encoder_, decoder_;
  Tensor minus_one_, half_;  // [channels] each: the network's pictures are 0..1
};

}  // namespace hearth
