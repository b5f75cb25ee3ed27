// ModelSampling: what a diffusion model's numbers mean: its table of noise levels, which timestep it is told at a
// level, how noise and latent mix, and how its output becomes a guess of the clean latent. A plain value; float32 in
// the order of operations of ComfyUI's model_sampling, so that schedules and pictures agree with it.
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "runtime/diffuse/sampling/field.h"

namespace hearth::diffuse {

/// What the model's output is.
enum class Prediction {
  kEps,           // the noise
  kV,             // v-prediction
  kEdm,           // Karras et al.'s preconditioned output
  kLcm,           // eps with the consistency model's boundary conditions
  kX0,            // the clean latent
  kImageToImage,  // the clean latent, from an input that is not scaled
  kImageToImageFlow,  // the same, along a rectified flow
  kFlow,          // velocity of a rectified flow: x = sigma noise + (1 - sigma) latent
  kCosmosFlow,    // the same, told in units of sigma / (1 - sigma)
};

/// How a noise level becomes a timestep.
enum class TimestepRule {
  kNearest,     // the table's nearest entry, in log sigma
  kQuarterLog,  // 0.25 log sigma (EDM)
  kAngle,       // 2/pi atan sigma
  kScaled,      // sigma times a multiplier (rectified flow)
  kRatio,       // sigma / (sigma + 1)
};

/// The table of a model trained on discrete steps.
struct DiscreteSchedule {
  double linear_start = 0.00085, linear_end = 0.012;
  int64_t timesteps = 1000;
  bool zero_terminal_snr = false;
};

struct ModelSampling {
  Prediction prediction = Prediction::kEps;
  TimestepRule timestep_rule = TimestepRule::kNearest;
  std::vector<float> sigmas, log_sigmas;  // ascending
  float sigma_data = 1;
  int64_t skip_steps = 1;   // timesteps from one table entry to the next (distilled models: 20)
  double shift = 1;         // flow: alpha of the time shift, or mu of the exponential one
  double multiplier = 1;    // flow: timestep = sigma * multiplier
  bool is_exponential_shift = false;

  float sigma_min() const { return sigmas.front(); }
  float sigma_max() const { return sigmas.back(); }
  bool is_flow() const { return prediction == Prediction::kFlow || prediction == Prediction::kImageToImageFlow; }

  float timestep(float sigma) const;
  float sigma(float timestep) const;
  /// The noise level after `percent` (0..1) of the sampling; beyond the table's ends outside (0, 1).
  double percent_to_sigma(double percent) const;
  /// Whether a schedule beginning at `first_sigma` starts from pure noise.
  bool is_max_denoise(float first_sigma) const;

  /// The model's input for x at `sigma`.
  void calculate_input(float sigma, std::span<const float> x, std::span<float> input) const;
  /// The clean latent told by the model's `output` for x (not its scaled input) at `sigma`. May write over `output`.
  void calculate_denoised(float sigma, std::span<const float> output, std::span<const float> x,
                          std::span<float> denoised) const;
  /// Latent with noise of level `sigma`.
  Field noise_scaling(float sigma, const Field& noise, const Field& latent, bool is_max_denoise = false) const;
  /// Undoes what the noise level left in a latent's scale (flow only).
  Field inverse_noise_scaling(float sigma, Field latent) const;
};

/// SD1, SDXL and their kin. kLcm gets the 50-entry table of distilled models.
ModelSampling discrete_sampling(Prediction prediction, const DiscreteSchedule& schedule = {});
inline constexpr double kEdmSigmaData = 0.5;  // what EDM's models take their data to deviate
/// ModelSamplingContinuousEDM; kCosmosFlow gets its own timesteps.
ModelSampling continuous_edm_sampling(Prediction prediction, double sigma_min, double sigma_max, double sigma_data = 1);
/// ModelSamplingContinuousV.
ModelSampling continuous_v_sampling(double sigma_min, double sigma_max);
/// Rectified flow with a time shift (SD3: multiplier 1000, AuraFlow: 1).
ModelSampling flow_sampling(double shift, double multiplier = 1000);
/// FLUX: exponential shift by mu, timestep = sigma.
ModelSampling flux_sampling(double mu = 1.15);

}  // namespace hearth::diffuse
