// Schedules: lists of noise levels, high to low. Names and numbers as ComfyUI's schedulers and sigma nodes, float32.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/base/result.h"
#include "runtime/diffuse/sampling/model_sampling.h"

namespace hearth::diffuse {

using Sigmas = std::vector<float>;

/// In ComfyUI's order.
const std::vector<std::string>& scheduler_names();
bool is_scheduler(std::string_view name);
/// steps + 1 levels for most, the last 0. kInvalidArgument for an unknown name or no steps.
Result<Sigmas> schedule_sigmas(std::string_view scheduler, const ModelSampling& model, int64_t steps);
/// BasicScheduler: the last steps + 1 of a schedule of steps / denoise; none where denoise is 0.
Result<Sigmas> basic_sigmas(std::string_view scheduler, const ModelSampling& model, int64_t steps, double denoise);

/// What a KSampler node asks for.
struct StepRange {
  int64_t steps = 20;
  double denoise = 1;
  int64_t start_step = 0, end_step = 10000;
  bool is_forced_to_zero = false;  // the last level becomes 0 where end_step cuts (no leftover noise)
};
/// The levels a KSampler walks. Empty: the latent stays as it is.
Result<Sigmas> ksampler_sigmas(std::string_view sampler, std::string_view scheduler, const ModelSampling& model,
                               const StepRange& range);

Sigmas karras_sigmas(int64_t steps, double sigma_min, double sigma_max, double rho = 7);
Sigmas exponential_sigmas(int64_t steps, double sigma_min, double sigma_max);
Sigmas polyexponential_sigmas(int64_t steps, double sigma_min, double sigma_max, double rho = 1);
Sigmas laplace_sigmas(int64_t steps, double sigma_min, double sigma_max, double mu = 0, double beta = 0.5);
Sigmas vp_sigmas(int64_t steps, double beta_d = 19.9, double beta_min = 0.1, double eps_s = 0.001);
Sigmas kl_optimal_sigmas(int64_t steps, double sigma_min, double sigma_max);
Sigmas beta_sigmas(const ModelSampling& model, int64_t steps, double alpha = 0.6, double beta = 0.6);
Sigmas sd_turbo_sigmas(const ModelSampling& model, int64_t steps, double denoise);
/// "SD1", "SDXL" or "SVD": eleven optimised levels (arXiv 2404.14507), others between them log-linearly;
/// kInvalidArgument for another word.
Result<Sigmas> align_your_steps_sigmas(std::string_view family, int64_t steps, double denoise);
Sigmas linear_quadratic_sigmas(const ModelSampling& model, int64_t steps);
/// Numbers found in a text: "1, 0.5".
Sigmas manual_sigmas(std::string_view text);

std::pair<Sigmas, Sigmas> split_sigmas(const Sigmas& sigmas, int64_t step);
std::pair<Sigmas, Sigmas> split_sigmas_denoise(const Sigmas& sigmas, double denoise);
Sigmas flip_sigmas(const Sigmas& sigmas);
Sigmas set_first_sigma(Sigmas sigmas, double sigma);

struct IntermediateSigmas {
  int64_t steps = 2;
  double start_at_sigma = -1;  // below 0: no upper bound
  double end_at_sigma = 12;
  std::string spacing = "linear";  // or cosine, sine
};
Sigmas extend_intermediate_sigmas(const Sigmas& sigmas, const IntermediateSigmas& how);
/// SamplingPercentToSigma.
double sampling_percent_to_sigma(const ModelSampling& model, double percent, bool is_actual_sigma);

}  // namespace hearth::diffuse
