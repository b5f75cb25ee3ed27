// Unet: the denoising network of SD1, SD2, SDXL base and refiner, and their inpainting kin. Immutable once bound,
// shared by every request; forward() is a pure function of its tensors and runs on Meta too.
#pragma once
#include <optional>
#include <utility>
#include <vector>

#include "models/diffusion/unet_blocks.h"
#include "models/diffusion/unet_config.h"

namespace hearth {

class Unet {
 public:
  /// See Weights for the two passes (sizing, loading) and for patched copies.
  static Unet bind(Weights& w, const UnetConfig& config);

  /// x [B, h, w, in_channels], timesteps [B], context [B, M, context_dim], y [B, adm_dim] or empty where the model
  /// takes none; all f32 -> [B, h, w, out_channels]. Any h and w: odd sizes are halved up and cropped on the way back.
  /// Throws Error{kInvalidArgument} with got and wanted for other shapes.
  Tensor forward(Ctx& c, const Tensor& x, const Tensor& timesteps, const Tensor& context, const Tensor& y) const;

  const UnetConfig& config() const { return config_; }

 private:
  struct Stage {  // a residual block, with a transformer after it where there is one
    ResBlock res;
    std::optional<SpatialTransformer> attention;

    Tensor forward(Ctx& c, const Tensor& x, const Tensor& emb, const Tensor& context) const;
  };
  struct Level {
    std::vector<Stage> stages;
    std::optional<Conv> resize;  // to the next resolution
  };
  static Stage bind_stage(Weights& w, const std::string& block, int i, int64_t in, const UnetConfig::Level& level,
                          const UnetConfig& f);
  void bind_down(Weights& w);
  void bind_up(Weights& w);
  void check_inputs(const Tensor& x, const Tensor& timesteps, const Tensor& context, const Tensor& y) const;
  Tensor embed(Ctx& c, const Tensor& timesteps, const Tensor& y) const;
  Tensor middle(Ctx& c, Tensor x, const Tensor& emb, const Tensor& context) const;

  UnetConfig config_;
  Linear time_in_, time_out_, label_in_, label_out_;
  Conv in_, out_;
  std::vector<Level> down_, up_;
  std::optional<Stage> middle_;
  std::optional<ResBlock> middle_tail_;
  GroupNorm norm_out_;
};

}  // namespace hearth
