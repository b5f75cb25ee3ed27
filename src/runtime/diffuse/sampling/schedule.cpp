#include "runtime/diffuse/sampling/schedule.h"

#include <algorithm>
#include <cmath>

#include "core/base/nearest.h"
#include "runtime/diffuse/sampling/sampler.h"
#include "runtime/diffuse/sampling/scalar.h"

namespace hearth::diffuse {
namespace {

bool is_zero_sigma(float sigma) { return std::fabs(sigma) <= 1e-5f; }

Sigmas simple(const ModelSampling& model, int64_t steps) {
  const int64_t n = static_cast<int64_t>(model.sigmas.size());
  double stride = static_cast<double>(n) / static_cast<double>(steps);
  Sigmas sigmas;
  for (int64_t i = 0; i < steps; ++i)
    sigmas.push_back(model.sigmas[static_cast<size_t>(n - 1 - static_cast<int64_t>(static_cast<double>(i) * stride))]);
  sigmas.push_back(0);
  return sigmas;
}

Sigmas ddim_uniform(const ModelSampling& model, int64_t steps) {
  const int64_t n = static_cast<int64_t>(model.sigmas.size());
  Sigmas sigmas;
  if (is_zero_sigma(model.sigmas[1]))
    ++steps;
  else
    sigmas.push_back(0);
  int64_t stride = std::max<int64_t>(n / steps, 1);
  for (int64_t i = 1; i < n; i += stride) sigmas.push_back(model.sigmas[static_cast<size_t>(i)]);
  std::reverse(sigmas.begin(), sigmas.end());
  return sigmas;
}

Sigmas normal(const ModelSampling& model, int64_t steps) {
  float first = model.timestep(model.sigma_max()), last = model.timestep(model.sigma_min());
  bool ends_at_zero = is_zero_sigma(model.sigma(last));
  if (ends_at_zero) ++steps;
  Sigmas sigmas;
  for (int64_t i = 0; i < steps; ++i) sigmas.push_back(model.sigma(f32::linspace(first, last, steps, i)));
  if (!ends_at_zero) sigmas.push_back(0);
  return sigmas;
}

Sigmas sgm_uniform(const ModelSampling& model, int64_t steps) {
  float first = model.timestep(model.sigma_max()), last = model.timestep(model.sigma_min());
  Sigmas sigmas;
  for (int64_t i = 0; i < steps; ++i) sigmas.push_back(model.sigma(f32::linspace(first, last, steps + 1, i)));
  sigmas.push_back(0);
  return sigmas;
}

struct Scheduler {
  const char* name;
  Sigmas (*sigmas)(const ModelSampling& model, int64_t steps);
};

template <Sigmas (*between)(int64_t steps, double sigma_min, double sigma_max)>
Sigmas over_range(const ModelSampling& model, int64_t steps) {
  return between(steps, model.sigma_min(), model.sigma_max());
}
Sigmas karras_default(int64_t steps, double low, double high) { return karras_sigmas(steps, low, high); }
Sigmas beta_default(const ModelSampling& model, int64_t steps) { return beta_sigmas(model, steps); }

constexpr Scheduler kSchedulers[] = {
    {"simple", simple},
    {"sgm_uniform", sgm_uniform},
    {"karras", over_range<karras_default>},
    {"exponential", over_range<exponential_sigmas>},
    {"ddim_uniform", ddim_uniform},
    {"beta", beta_default},
    {"normal", normal},
    {"linear_quadratic", linear_quadratic_sigmas},
    {"kl_optimal", over_range<kl_optimal_sigmas>},
};

const Scheduler* find_scheduler(std::string_view name) {
  auto found = std::find_if(std::begin(kSchedulers), std::end(kSchedulers), [&](auto& s) { return name == s.name; });
  return found == std::end(kSchedulers) ? nullptr : found;
}

void keep_last(Sigmas& sigmas, int64_t count) {
  int64_t excess = static_cast<int64_t>(sigmas.size()) - count;
  if (excess > 0) sigmas.erase(sigmas.begin(), sigmas.begin() + excess);
}

}  // namespace

const std::vector<std::string>& scheduler_names() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all;
    for (const Scheduler& scheduler : kSchedulers) all.push_back(scheduler.name);
    return all;
  }();
  return names;
}

bool is_scheduler(std::string_view name) { return find_scheduler(name) != nullptr; }

Result<Sigmas> schedule_sigmas(std::string_view scheduler, const ModelSampling& model, int64_t steps) {
  const Scheduler* found = find_scheduler(scheduler);
  if (!found) {
    std::string near = nearest_name(scheduler, scheduler_names());
    return unexpected(Code::kInvalidArgument, "no scheduler is named '" + std::string(scheduler) + "'" +
                                                  (near.empty() ? "" : "; did you mean '" + near + "'?"));
  }
  if (steps < 1)
    return unexpected(Code::kInvalidArgument, "a schedule has at least one step, not " + std::to_string(steps));
  return found->sigmas(model, steps);
}

Result<Sigmas> basic_sigmas(std::string_view scheduler, const ModelSampling& model, int64_t steps, double denoise) {
  if (denoise <= 0) return Sigmas{};
  int64_t total = denoise < 1 ? static_cast<int64_t>(static_cast<double>(steps) / denoise) : steps;
  auto sigmas = schedule_sigmas(scheduler, model, total);
  if (sigmas) keep_last(*sigmas, steps + 1);
  return sigmas;
}

Result<Sigmas> ksampler_sigmas(std::string_view sampler, std::string_view scheduler, const ModelSampling& model,
                               const StepRange& range) {
  if (range.denoise <= 0) return Sigmas{};
  const bool is_whole = range.denoise > 0.9999;
  const bool drops_one = discards_penultimate_sigma(sampler);
  int64_t total = is_whole ? range.steps : static_cast<int64_t>(static_cast<double>(range.steps) / range.denoise);
  auto scheduled = schedule_sigmas(scheduler, model, total + (drops_one ? 1 : 0));
  if (!scheduled) return scheduled;
  Sigmas sigmas = std::move(*scheduled);
  if (drops_one && sigmas.size() >= 2) sigmas.erase(sigmas.end() - 2);
  if (!is_whole) keep_last(sigmas, range.steps + 1);

  int64_t last = static_cast<int64_t>(sigmas.size()) - 1;
  if (range.end_step < last) {
    sigmas.resize(static_cast<size_t>(std::max<int64_t>(range.end_step, 0)) + 1);
    if (range.is_forced_to_zero) sigmas.back() = 0;
    last = static_cast<int64_t>(sigmas.size()) - 1;
  }
  if (range.start_step >= last) return Sigmas{};
  sigmas.erase(sigmas.begin(), sigmas.begin() + std::max<int64_t>(range.start_step, 0));
  return sigmas;
}

}  // namespace hearth::diffuse
