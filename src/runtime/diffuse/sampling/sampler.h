// Samplers: from noise to a picture's latent along a list of noise levels, by the name ComfyUI gives each. The model is
// a Denoiser; everything here is host arithmetic on latents in the reference's order of operations. Stateless; one call
// per thread. A sampler stops where its denoiser or on_step throws.
#pragma once
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "core/base/result.h"
#include "ops/random/noise.h"
#include "runtime/diffuse/sampling/field.h"
#include "runtime/diffuse/sampling/model_sampling.h"

namespace hearth::diffuse {

using SamplerValue = std::variant<double, std::string>;  // whole numbers and booleans are doubles

/// ComfyUI's SAMPLER: which one, and what differs from its defaults.
struct SamplerChoice {
  std::string name = "euler";
  std::map<std::string, SamplerValue> parameters;
  friend bool operator==(const SamplerChoice&, const SamplerChoice&) = default;
};

/// One parameter a sampler takes.
struct SamplerParameter {
  std::string name;
  SamplerValue fallback;
  double min = 0, max = 100;
  std::vector<std::string> choices;  // of a text parameter
};

/// What the model makes of a noisy latent.
class Denoiser {
 public:
  virtual ~Denoiser() = default;
  /// The clean latent seen in x at `sigma`.
  virtual Field denoise(const Field& x, float sigma) = 0;
  /// From now on keep the guess without the prompt of every call, computed even where guidance would not need it.
  virtual void keep_uncond() = 0;
  /// That of the last call; zeros where there is no second condition.
  virtual const Field& uncond() const = 0;
  /// Whether there is a condition to be without the prompt.
  virtual bool has_uncond() const { return true; }
};

/// What a watcher is told after a step's first look at the model.
struct SamplerStep {
  int64_t index = 0;  // 0..steps-1; adaptive samplers count their own steps
  const Field& x;
  const Field& denoised;
};

struct SamplerSetup {
  const ModelSampling& model;
  LatentShape shape;
  uint64_t seed = 0;
  NoiseMachine noise;  // whose generator the sampler's own noise imitates
  std::function<void(const SamplerStep&)> on_step;  // empty: nobody watches
};

/// In ComfyUI's order.
const std::vector<std::string>& sampler_names();
bool is_sampler(std::string_view name);
/// Its parameters with defaults and ranges; empty for an unknown name.
const std::vector<SamplerParameter>& sampler_parameters(std::string_view name);
/// Unknown names, unknown parameters and values out of range, in words.
Result<void> check_sampler(const SamplerChoice& choice);
/// These samplers get one more step scheduled and its last noise level but one dropped.
bool discards_penultimate_sigma(std::string_view name);
/// ddim redraws the noise of what an inpaint mask keeps.
bool has_random_inpaint_noise(std::string_view name);

/// `x`: the latent with noise of level sigmas[0]. Fewer than two sigmas: x as it is.
Field sample(const SamplerChoice& choice, Denoiser& denoiser, Field x, std::span<const float> sigmas,
             const SamplerSetup& setup);

}  // namespace hearth::diffuse
