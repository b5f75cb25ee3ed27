// A denoiser with a closed form: the posterior mean of a mixture of three Gaussians, with and without a prompt. The
// same formulas, in double precision, as tests/golden/sampling/make_samplers.py.
#pragma once
#include <array>
#include <cmath>
#include <functional>

#include "runtime/diffuse/sampling/sampler.h"

namespace hearth::diffuse {

using MixtureMeans = std::array<double, 3>;
inline constexpr MixtureMeans kCondMeans = {-1.2, 0.3, 1.1}, kUncondMeans = {-0.7, 0.0, 0.9};

inline double posterior_mean(double x, double sigma, const MixtureMeans& means) {
  constexpr double kVariance = 0.25;
  double s2 = sigma * sigma, total = 0, sum = 0, exponents[3], highest = -1e300;
  for (size_t k = 0; k < 3; ++k) {
    exponents[k] = -(x - means[k]) * (x - means[k]) / (2 * (kVariance + s2));
    highest = std::max(highest, exponents[k]);
  }
  for (size_t k = 0; k < 3; ++k) {
    double w = std::exp(exponents[k] - highest);
    total += w;
    sum += w * (means[k] * s2 + x * kVariance);
  }
  return sum / total / (kVariance + s2);
}

class AnalyticDenoiser final : public Denoiser {
 public:
  AnalyticDenoiser(const ModelSampling& model, float cfg) : is_flow_(model.is_flow()), cfg_(cfg) {}
  Field denoise(const Field& x, float sigma) override {
    ++calls;
    Field cond = mean(x, sigma, kCondMeans), uncond = mean(x, sigma, kUncondMeans);
    uncond_ = uncond;
    return uncond + (cond - uncond) * cfg_;
  }
  void keep_uncond() override { is_uncond_kept_ = true; }
  const Field& uncond() const override {
    check(is_uncond_kept_, "a sampler says beforehand that it reads uncond");
    return uncond_;
  }
  int calls = 0;

 private:
  Field mean(const Field& x, float sigma, const MixtureMeans& means) const {
    Field out(x.size());
    double level = sigma, alpha = is_flow_ ? 1 - level : 1;
    for (int64_t i = 0; i < x.size(); ++i)
      out[i] = static_cast<float>(alpha == 0 ? (means[0] + means[1] + means[2]) / 3
                                             : posterior_mean(x[i] / alpha, level / alpha, means));
    return out;
  }
  bool is_flow_, is_uncond_kept_ = false;
  float cfg_;
  Field uncond_;
};

}  // namespace hearth::diffuse
