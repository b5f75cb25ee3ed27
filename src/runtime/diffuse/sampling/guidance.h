// Guidance: from lists of conditions to one guess of the clean latent. Conditions whose areas have the same size and
// whose texts fit each other share a call of the UNet; their guesses are blended by area, mask and strength, and what
// the prompts see is weighed against each other by the guider. One GuidedDenoiser serves one sampling; one thread.
#pragma once
#include <optional>
#include <span>
#include <vector>

#include "runtime/diffuse/sampling/latent_format.h"
#include "runtime/diffuse/sampling/sampler.h"
#include "runtime/diffuse/sampling/size_vector.h"
#include "runtime/diffuse/values.h"

namespace hearth::diffuse {

/// What one row of a UNet's batch is told. Borrowed; a text lies at the same place at every step, so that what is made
/// of it may be kept by its address.
struct UnetRow {
  std::span<const float> context;  // [tokens, dim]
  int64_t tokens = 0;
  int64_t repeats = 1;  // times the context is repeated along its tokens to be as long as the longest
  std::span<const float> y;  // size vector, or empty
  std::span<const float> concat;  // [channels, h, w] to append to x, or empty
};

/// One call: n rows of one size, all at one noise level.
struct UnetCall {
  LatentShape shape;  // batch: n
  std::span<const float> x;  // [n,C,h,w], already the model's input
  float sigma = 0, timestep = 0;
  std::span<const UnetRow> rows;  // n
};

/// A diffusion model as guidance needs it.
class NoisePredictor {
 public:
  virtual ~NoisePredictor() = default;
  /// How many rows of that size fit in one call; at least 1.
  virtual int64_t max_rows(int64_t height, int64_t width, int64_t tokens) const = 0;
  /// The model's raw output [n,C,h,w]. Throws kCancelled where the work was cancelled.
  virtual void predict(const UnetCall& call, std::span<float> output) = 0;
};

enum class GuiderKind { kBasic, kCfg, kDualCfg, kDualCfgNested, kPerpNeg, kDualModel };

/// What a UNet takes besides x, timestep and text.
struct UnetInputs {
  SizeVectorKind size_vector = SizeVectorKind::kNone;
  bool is_inpaint = false;  // mask and masked latent are appended to x
  LatentFormat latents;     // of latents that conditions bring
};

/// A model of its own for the negative. Borrowed: both outlive the sampling.
struct NegativeModel {
  NoisePredictor* predictor = nullptr;
  const ModelSampling* model = nullptr;
  UnetInputs inputs;
  Field latent;  // the task's, as this model's latents are
};

/// Whether guidance of that strength leaves what the prompt sees as it is.
bool is_one(double cfg);

/// Who decides what the model sees.
struct Guidance {
  GuiderKind kind = GuiderKind::kCfg;
  Conditioning positive;
  Conditioning middle;  // dual: the second condition; perp-neg: no words at all
  Conditioning negative;
  std::optional<NegativeModel> negative_model;  // dual model: who sees the negative; absent: nobody, at a cfg of 1
  double cfg = 1;
  double cfg_middle = 1;  // dual: of the second condition against the negative
  double negative_scale = 1;  // perp-neg: of what the negative has beside the positive
  std::optional<float> rescale;  // RescaleCFG's multiplier
  std::optional<float> differential;  // DifferentialDiffusion's strength: a grey mask says from which step on to sample
};

/// A latent to sample, in the model's scale. `mask` is 1 where it is sampled, 0 where `latent` is kept.
struct LatentTask {
  LatentShape shape;
  Field latent;
  Field noise;  // what the kept part is noised with
  Field mask;  // of the latent's size, or empty
};

struct PreparedCondition;  // conditions.h

class GuidedDenoiser final : public Denoiser {
 public:
  /// Borrows `predictor`, `model` and `task`. kInvalidArgument for a condition that fits neither model nor latent.
  /// `sigmas`: the levels that will be walked; read where guidance.differential is set.
  GuidedDenoiser(NoisePredictor& predictor, const ModelSampling& model, const UnetInputs& inputs,
                 const Guidance& guidance, const LatentTask& task, std::span<const float> sigmas);
  ~GuidedDenoiser() override;

  Field denoise(const Field& x, float sigma) override;
  void keep_uncond() override { is_uncond_kept_ = true; }
  const Field& uncond() const override { return uncond_; }
  bool has_uncond() const override;

 private:
  using Prepared = std::vector<PreparedCondition>;
  struct Seer {  // a model, and what its numbers mean
    NoisePredictor& predictor;
    const ModelSampling& model;
  };
  void prepare_all(const Guidance& guidance, const UnetInputs& inputs);
  void prepare_for_two(const Guidance& guidance, const UnetInputs& inputs);
  Field guess(const Field& x, float sigma);
  Field cfg_guess(const Field& x, float sigma);
  Field dual_guess(const Field& x, float sigma);
  Field dual_model_guess(const Field& x, float sigma);
  Field perp_neg_guess(const Field& x, float sigma);
  Field mask_at(float sigma) const;
  /// What each list sees in x: nothing (zeros) where no condition applies. Null stands for a list not asked.
  std::vector<Field> guesses(const std::vector<const Prepared*>& lists, const Field& x, float sigma);
  std::vector<Field> guesses(const std::vector<const Prepared*>& lists, const Field& x, float sigma, const Seer& seer);
  Field combine(const Field& cond, const Field& uncond, double cfg, const Field& x, float sigma);

  NoisePredictor& predictor_;
  const ModelSampling& model_;
  const LatentTask& task_;
  GuiderKind kind_;
  double cfg_, cfg_middle_, negative_scale_;
  std::optional<float> rescale_, differential_;
  std::optional<NegativeModel> negative_model_;
  float first_timestep_ = 0, last_timestep_ = 0;  // between which a differential mask opens
  Prepared positive_, middle_, negative_;
  bool is_uncond_kept_ = false;
  Field uncond_;
};

/// A whole sampling: noise put on the latent, the sampler's walk, the kept part put back.
struct LatentSampling {
  const ModelSampling& model;
  UnetInputs inputs;
  Guidance guidance;
  SamplerChoice sampler;
  std::vector<float> sigmas;
  LatentTask task;
  uint64_t seed = 0;
  NoiseMachine machine;
};
struct SampledField {
  Field output;
  Field denoised;  // the last guess; the output where no step was taken
};
SampledField sample_latent(LatentSampling sampling, NoisePredictor& predictor,
                           const std::function<void(const SamplerStep&)>& on_step = {});

}  // namespace hearth::diffuse
