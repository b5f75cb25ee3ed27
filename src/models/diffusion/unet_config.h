// UnetConfig: the numbers of a latent diffusion UNet, read off the shapes of its weights, so that any member of the
// family loads: SD1, SD2, SDXL base and refiner, inpainting and distilled ones, tiny or full size. Two numbers leave no
// trace in the weights:
//   heads   as ComfyUI has them: 8 everywhere where projections around attention are convolutions (SD1), heads of 64
//           channels otherwise. A config.json says better: attention_head_dim, which despite its name counts the heads
//           of each resolution (a number, or a list). A single file may carry the same text in its metadata, as
//           "unet.attention_head_dim".
//   groups  of GroupNorm: 32, or norm_num_groups of config.json, "unet.norm_num_groups" of the metadata.
#pragma once
#include <vector>

#include "core/base/value.h"
#include "models/diffusion/names.h"
#include "models/load/named_tensors.h"

namespace hearth {

struct UnetConfig {
  /// One resolution on the way down or up. depth[i]: transformer blocks after residual block i, 0 for none.
  struct Level {
    int channels = 0;
    int heads = 1;
    std::vector<int> depth;
  };

  int in_channels = 4, out_channels = 4;
  int channels = 320;  // of the first resolution; also the width of the sinusoidal embedding
  int time_dim = 1280;
  int context_dim = 0;  // of the text; 0: no cross-attention
  int adm_dim = 0;  // of the vector beside the text; 0: none
  int groups = 32;
  std::vector<Level> down, up;  // in the order they run
  bool has_middle = true;
  int middle_depth = 0;  // 0: no attention in the middle
  bool has_middle_tail = true;  // a residual block after the middle's attention
  int middle_heads = 1;
  bool has_conv_projections = false;

  /// `tensors` under diffusers' names; `config` is config.json or null, `metadata` the single file's. Throws
  /// Error{kCorruptFile} naming tensor, got and wanted, or kUnsupported.
  static UnetConfig of(const NamedTensors& tensors, const Value& config, const Value& metadata);

  UnetSkeleton skeleton() const;
};

}  // namespace hearth
