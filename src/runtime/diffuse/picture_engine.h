// PictureEngine: what the nodes of a picture workflow ask for: models loaded from files, text encoded, latents sampled,
// pictures encoded and decoded. It owns the lanes of picture work and the models in memory; every byte is leased.
// Thread-safe; a call blocks until its work is done. Failures are thrown as Error; kCancelled when the caller's
// `is_cancelled` turned true.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "governor/budget/budget.h"
#include "runtime/diffuse/residency.h"
#include "runtime/diffuse/sampling/sampler.h"
#include "runtime/diffuse/values.h"
#include "runtime/executor/executor.h"

namespace hearth {
struct PictureFile;
}

namespace hearth::diffuse {

/// Who watches a call: cancellation is asked for at every cut, progress and previews are told between steps.
struct Watch {
  std::function<bool()> is_cancelled;                                // empty: never
  std::function<void(int64_t done, int64_t total)> progress;         // steps of a sampler, tiles, bytes of a load
  /// The denoised latent [B,C,h,w] so far, after each step; empty: no previews wanted.
  std::function<void(const Model& model, const Tensor& denoised)> preview;
};

/// A checkpoint's parts; what the file does not hold is empty.
struct CheckpointParts {
  std::optional<Model> model;
  std::optional<TextEncoder> clip;
  std::optional<Vae> vae;
};

/// The words of one prompt as each encoder gets them; plain CLIPTextEncode gives both the same.
struct PromptWords {
  std::string l, g;
};

/// Who decides what the model predicts at a step.
struct Guider {
  enum class Kind { kBasic, kCfg, kDualCfg, kDualCfgNested, kPerpNeg, kDualModel };
  Kind kind = Kind::kCfg;
  Model model;
  std::optional<Model> negative_model;  // dual model: who sees the negative, unless cfg is 1
  Conditioning positive;
  Conditioning middle;    // dual: cond2; perp-neg: the empty prompt
  Conditioning negative;
  double cfg = 1;
  double cfg_middle = 1;  // dual: cfg_cond2_negative
  double negative_scale = 1;  // perp-neg
};

/// Noise as ComfyUI's NOISE: from a seed, or none.
struct Noise {
  uint64_t seed = 0;
  bool is_off = false;
};

struct SampleRequest {
  Guider guider;
  SamplerChoice sampler;        // name and its parameters (sampling/sampler.h)
  std::vector<float> sigmas;    // descending; the last may be 0
  Noise noise;
  Latent latent;
};

struct Sampled {
  Latent output;    // after the last sigma
  Latent denoised;  // the model's last guess of the clean latent
};

/// What a picture was to be when memory was refused.
struct PictureNeed {
  const PictureFile& file;                   // of the network that asked for it
  std::vector<const PictureFile*> beside{};  // whose denoisers are held with it: under LoRAs, of a second model
  int64_t batch = 1, width = 0, height = 0;  // pixels
  bool is_guided = true;
  int64_t tile = 0;                          // pixels a side of what is decoded at once; 0: whole pictures
  ComputeOptions compute{};
  int64_t held_bytes = 0;                    // by pictures, in use: a smaller one would use or do without it
};
/// Says of a refusal what smaller picture would fit; ends soon after `gives_up` (empty: never) came true.
using PictureAdvisor =
    std::function<Error(const Error& refusal, const PictureNeed& need, const std::function<bool()>& gives_up)>;

/// Pixels.
struct PictureSize {
  int64_t width = 0, height = 0;
};

class PictureEngine {
 public:
  /// `executor` and `memory` outlive the engine. `embedding_folders`: where `embedding:NAME` of a prompt is looked up.
  /// `compute`: for models whose own options leave something open.
  PictureEngine(Executor& executor, governor::LeasedAllocator& memory, std::vector<std::string> embedding_folders = {},
                const ComputeOptions& compute = {});
  ~PictureEngine();
  PictureEngine(const PictureEngine&) = delete;

  /// Loads, or finds in memory, what a checkpoint holds. `path`: a .safetensors, .ckpt or .gguf file or a folder in
  /// diffusers layout.
  CheckpointParts load_checkpoint(const std::string& path, const Watch& watch);
  Model load_diffusion_model(const std::string& path, const Watch& watch);
  /// One or two encoder files (CLIPLoader, DualCLIPLoader).
  TextEncoder load_text_encoder(const std::vector<std::string>& paths, const Watch& watch);
  Vae load_vae(const std::string& path, const Watch& watch);

  /// CLIPTextEncode and its kin: one Condition with context and, where there is one, pooled.
  Condition encode_text(const TextEncoder& clip, const PromptWords& words, const Watch& watch);

  /// Sigma tables and percentages of a model as the workflow set it up.
  ModelSampling sampling_of(const Model& model) const;
  int64_t latent_channels(const Model& model) const;
  /// What the model was trained to draw: said by the file (modelspec.resolution), else the family's usual size.
  PictureSize native_size(const Model& model) const;

  Sampled sample(const SampleRequest& request, const Watch& watch);
  /// AddNoise: `latent` with noise of level `sigma`, as a sampling that starts there would put it on.
  Latent add_noise(const Model& model, const Noise& noise, float sigma, const Latent& latent);

  /// [B,C,h,w] -> [B,8h,8w,3] in 0..1.
  Tensor decode(const Vae& vae, const Tensor& samples, const VaeOptions& options, const Watch& watch);
  /// [B,H,W,3] in 0..1 -> [B,C,H/8,W/8]: the mean, cropped to whole latent pixels.
  Tensor encode(const Vae& vae, const Tensor& pixels, const VaeOptions& options, const Watch& watch);
  /// A quick picture [1,h,w,3] of a latent: a linear map of its channels.
  Tensor preview(const Model& model, const Tensor& denoised) const;
  /// The tiny decoder ComfyUI pairs with the model, as its files in vae_approx begin: "taesd_decoder"; empty: none.
  std::string preview_decoder(const Model& model) const;
  /// A preview [1,8h,8w,3] by that decoder.
  Tensor decode_preview(const Model& model, const Vae& tiny, const Tensor& denoised, const Watch& watch);

  /// Drops weights nobody uses just now; they come back when a step needs them.
  void free_unused();
  /// The parts in memory and the arena between steps, as a governor sees them.
  governor::Resider& resider();
  /// Who makes room for pictures; knows resider() already. Set before the first use.
  void set_evictor(governor::Evictor& evictor);
  /// Whom refusals go through. Set before the first use; empty: they stay as they are.
  void set_advisor(PictureAdvisor advisor);
  /// What ending the running work would give back; 0 when none runs.
  int64_t running_bytes() const;
  /// Models and arena of pictures, whether one runs or not: the next picture uses them, or they make room for it.
  int64_t held_bytes() const;
  /// The arena that is kept between two pictures; 0 while one runs.
  int64_t spare_bytes() const;
  /// Ends the running work at its next cut: its caller gets `why`. False when none runs.
  bool abort(const Error& why);
  /// Host memory for images, masks and latents.
  governor::LeasedAllocator& memory();

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace hearth::diffuse
