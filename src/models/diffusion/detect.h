// What a file of pictures' models holds: which networks, of which family, under which names, and what its denoiser
// predicts. Reads headers only (and, for SD2, one small tensor). Names and shapes decide, never the file's own name.
// A plain value: it holds no descriptor; its networks share the headers they were found in.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/diffusion/unet_config.h"
#include "models/encoder/clip.h"
#include "models/load/named_tensors.h"
#include "models/vae/kl_vae.h"
#include "models/vae/tae.h"

namespace hearth {

enum class PictureFamily { kUnknown, kSd1, kSd2, kSdxl, kSdxlRefiner };
enum class PicturePrediction { kEps, kV };
enum class PictureLayout { kOriginal, kDiffusers };  // whose names the networks have in the file

/// "sd1", "sdxl_refiner", ...
std::string_view name(PictureFamily family);

/// A network found in a file: its tensors under bind code's names, and its numbers.
template <class Config>
struct PicturePart {
  std::shared_ptr<const NamedTensors> tensors;
  Config config;
};

/// Noise levels of a model trained as Karras et al. have it (EDM) instead of with a table, as marks in its file say.
struct EdmLevels {
  bool is_playground = false;  // predicts EDM's output, and its latents have a mean; else it predicts v
  float sigma_min = 0.002f, sigma_max = 120;
};

struct PictureFile {
  std::string path;
  PictureFamily family = PictureFamily::kUnknown;
  PictureLayout layout = PictureLayout::kOriginal;
  PicturePrediction prediction = PicturePrediction::kEps;
  bool has_zero_terminal_snr = false;
  std::optional<EdmLevels> edm;
  float latent_scale = 0.18215f;  // latents of the denoiser = those of the VAE times this
  int pooled_dim = 0;             // SDXL's y: this much of the text's pooled vector,
  int size_ids = 0;               // then so many sizes (height, width, crop y, crop x, ...),
  int size_dim = 0;               // each a sinusoid of this width

  std::optional<PicturePart<UnetConfig>> unet;
  std::vector<PicturePart<ClipConfig>> text_encoders;  // CLIP-L before bigG, as SDXL joins them
  std::optional<PicturePart<VaeConfig>> vae;
  std::optional<PicturePart<TinyVaeConfig>> tiny_vae;
  std::shared_ptr<const TensorFile> lora, embedding;  // a file of adapters; of vectors for words (textual inversion)

  bool is_inpaint() const { return unet && unet->config.in_channels == 9; }
  /// "a checkpoint (unet, 2 text encoders, vae)", "a LoRA", "nothing this build knows".
  std::string describe() const;
};

/// One file whose header has been read. Throws Error{kCorruptFile} naming tensor, got and wanted, or kUnsupported. A
/// file of something else comes back with no parts.
PictureFile inspect_picture_file(const TensorFile& file);

/// A .safetensors, .ckpt, .pt, .bin or .gguf file, a folder in diffusers layout (model_index.json, unet/, vae/,
/// text_encoder/, ...), or the folder of one of its networks. Throws Error naming the path and what was expected there.
PictureFile open_picture_file(const std::string& path);

}  // namespace hearth
