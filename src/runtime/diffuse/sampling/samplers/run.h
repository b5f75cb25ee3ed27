// Run: what a sampler's formula needs while it walks the noise levels: the model, the levels, its parameters, noise,
// and whoever watches. Lives for one sample() call.
#pragma once
#include <memory>
#include <optional>
#include <string>

#include "ops/random/brownian.h"
#include "runtime/diffuse/sampling/sampler.h"
#include "runtime/diffuse/sampling/scalar.h"

namespace hearth::diffuse {

class Run {
 public:
  /// `values`: every parameter the sampler takes. Borrows all of it.
  Run(Denoiser& model, std::span<const float> sigmas, const SamplerSetup& setup,
      const std::map<std::string, SamplerValue>& values)
      : sigmas(sigmas.begin(), sigmas.end()), model(model), sampling(setup.model), asked_(sigmas), setup_(setup),
        values_(values) {}

  std::vector<float> sigmas;  // a sampler may move the first one
  Denoiser& model;
  const ModelSampling& sampling;

  int64_t steps() const { return static_cast<int64_t>(sigmas.size()) - 1; }
  float sigma(int64_t i) const { return sigmas[static_cast<size_t>(i)]; }
  Field denoise(const Field& x, float sigma) { return model.denoise(x, sigma); }
  void tell(int64_t i, const Field& x, const Field& denoised) const {
    if (setup_.on_step) setup_.on_step({i, x, denoised});
  }

  double number(const char* name) const { return std::get<double>(values_.at(name)); }
  float f(const char* name) const { return static_cast<float>(number(name)); }
  int64_t whole(const char* name) const { return static_cast<int64_t>(number(name)); }
  bool flag(const char* name) const { return number(name) != 0; }
  const std::string& text(const char* name) const { return std::get<std::string>(values_.at(name)); }

  /// Independent normals, new ones at every call.
  Field noise();
  /// Normals that are increments of one Brownian motion over the levels asked for, on the machine `noise_device` says.
  Field brownian_noise(float sigma, float sigma_next);

 private:
  std::span<const float> asked_;  // the levels as they were given
  const SamplerSetup& setup_;
  const std::map<std::string, SamplerValue>& values_;
  std::unique_ptr<NormalStream> normals_;
  std::optional<BrownianNoise> brownian_;
};

/// Half the log of the signal-to-noise ratio at a level, and back.
float half_log_snr(float sigma, const ModelSampling& sampling);
float sigma_of_half_log_snr(float lambda, const ModelSampling& sampling);
/// A first level of pure noise has no finite ratio: the level just below it.
void avoid_infinite_snr(Run& run);

/// An ancestral step goes down to `down` and adds noise of size `up`, which together make the next level.
struct AncestralStep {
  float down, up;
};
AncestralStep ancestral_step(float from, float to, float eta);
/// That of a rectified flow: the latent is scaled before the noise is added.
struct FlowAncestralStep {
  float down, latent_scale, noise_scale;
};
FlowAncestralStep flow_ancestral_step(float from, float to, float eta);

/// The integral over [t[i], t[i+1]] of the Lagrange polynomial of point i - j among the last `order` points.
double adams_coefficient(std::span<const float> t, int64_t order, int64_t i, int64_t j);
/// Solves A x = b, A row by row, by elimination with partial pivoting in float32.
std::vector<float> solve(std::vector<float> a, std::vector<float> b);
/// The sum of w[k] * fields[first + k].
Field weighted_sum(std::span<const Field> fields, std::span<const float> w);

}  // namespace hearth::diffuse
