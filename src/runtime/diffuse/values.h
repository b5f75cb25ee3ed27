// The values that travel between the nodes of a picture workflow: latents, conditioning, and handles on loaded models
// with what a workflow changed about them. Plain values over shared immutable parts; copying one copies handles.
// Tensors here lie in host memory: images [B,H,W,C] and masks [B,H,W] in 0..1, latents [B,C,h,w], all f32.
#pragma once
#include <array>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/tensor/tensor.h"
#include "runtime/diffuse/compute_options.h"
#include "runtime/diffuse/sampling/latent_format.h"
#include "runtime/diffuse/sampling/model_sampling.h"

namespace hearth::diffuse {

/// ComfyUI's LATENT.
struct Latent {
  Tensor samples;                    // [B,C,h,w]
  Tensor noise_mask;                 // [b,H,W] of any size, 1 = sample here; empty: everywhere
  std::vector<int64_t> batch_index;  // which members of a larger batch these are; empty: 0..B-1
};

/// Where a condition applies, in latent pixels or in parts of the picture.
struct Area {
  bool is_fraction = false;
  double height = 0, width = 0, y = 0, x = 0;
};

/// The sizes SDXL is told, in pixels; absent: those of the latent, no crop.
struct SizeConditioning {
  int64_t width = 1024, height = 1024, crop_w = 0, crop_h = 0;
  int64_t target_width = 1024, target_height = 1024;
};

/// One entry of ComfyUI's CONDITIONING.
struct Condition {
  Tensor context;  // [1, tokens, dim]
  Tensor pooled;   // [1, dim]; empty where the encoder gives none
  std::optional<SizeConditioning> size;
  std::optional<float> aesthetic_score;  // refiner; absent: 6 positive, 2.5 negative
  std::optional<Area> area;
  float strength = 1;
  Tensor mask;     // [b,H,W] of any size; empty: everywhere
  float mask_strength = 1;
  bool set_area_to_bounds = false;       // only the mask's bounding box is computed
  std::optional<double> start_percent, end_percent;  // of the sampling, 0..1
  Tensor concat_latent;  // [B,4,h,w] as the VAE gave it: the masked picture of an inpaint UNet; empty: none
  Tensor concat_mask;    // [B,H,W]
};
using Conditioning = std::vector<Condition>;

/// A LoRA file and how strongly it applies.
struct LoraUse {
  std::string path;
  double strength = 1;
  friend bool operator==(const LoraUse&, const LoraUse&) = default;
};

class DiffusionFile;  // a denoiser as found in a file; its weights come and go (residency.h)
class TextFiles;      // one or two text encoders
class VaeFile;

/// Noise levels that are not the steps of a table: ModelSamplingContinuousEDM and ModelSamplingContinuousV.
struct ContinuousLevels {
  bool is_angle = false;  // ContinuousV: timesteps are angles
  double sigma_min = 0.002, sigma_max = 120, sigma_data = 1;
};

/// ComfyUI's MODEL: shared weights and what the workflow set on them.
struct Model {
  std::shared_ptr<DiffusionFile> base;
  std::vector<LoraUse> loras;  // in the order they were applied
  std::optional<Prediction> prediction;  // ModelSamplingDiscrete; absent: the checkpoint's own
  std::optional<ContinuousLevels> continuous;  // absent: the table of the model's training
  bool has_playground_latents = false;   // ModelSamplingContinuousEDM's edm_playground_v2.5; else the family's own
  std::optional<float> differential;     // DifferentialDiffusion's strength
  std::optional<bool> zero_terminal_snr;
  std::optional<float> rescale_cfg;      // RescaleCFG's multiplier
  ComputeOptions compute;
};

/// Whether its latents are Playground v2.5's: said by the workflow or by the file.
bool has_playground_latents(const Model& model);
/// How the model's latents lie to those of its VAE.
LatentFormat latents_of(const Model& model);

/// ComfyUI's CLIP.
struct TextEncoder {
  std::shared_ptr<TextFiles> base;
  std::vector<LoraUse> loras;
  std::optional<int> last_layer;  // CLIPSetLastLayer: -1 is the last, -2 the one before; absent: the family's own
  ComputeOptions compute;
};

/// ComfyUI's VAE.
struct Vae {
  std::shared_ptr<VaeFile> base;
  std::shared_ptr<VaeFile> encoder;  // where it lies in a file of its own (TAESD)
  ComputeOptions compute;
};

/// What one call asks of a VAE beyond its ComputeOptions. Slicing takes one picture of a batch at a time; tiling takes
/// overlapping pieces of one picture and blends their seams.
struct VaeOptions {
  std::optional<bool> slicing;  // absent: as the VAE's options say
  int64_t tile = 0;             // pixels; 0: as the VAE's options say
  int64_t overlap = 64;         // pixels
};

}  // namespace hearth::diffuse
