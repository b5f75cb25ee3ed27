#include "runtime/diffuse/sampling/model_sampling.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "core/base/check.h"
#include "runtime/diffuse/sampling/scalar.h"

namespace hearth::diffuse {
namespace {

constexpr double kBeyondAnySigma = 999999999.9;  // a range that starts at 0 % has no upper bound
constexpr double kTerminalAlphaBar = 4.8973451890853435e-08;  // what ZSNR leaves instead of 0
constexpr int64_t kDistilledSteps = 50;
constexpr double kConsistencyScale = 10;       // of timesteps in the boundary conditions
constexpr float kConsistencySigmaData = 0.5f;

/// Cumulated alphas of betas that are the squares of evenly spaced roots.
std::vector<double> alpha_bars(const DiscreteSchedule& schedule) {
  const int64_t n = schedule.timesteps;
  double first = std::sqrt(schedule.linear_start), last = std::sqrt(schedule.linear_end);
  double step = (last - first) / static_cast<double>(n - 1);
  std::vector<double> bars(static_cast<size_t>(n));
  double product = 1;
  for (int64_t i = 0; i < n; ++i) {
    double root = i < n / 2 ? first + step * static_cast<double>(i) : last - step * static_cast<double>(n - i - 1);
    product *= 1.0 - root * root;
    bars[static_cast<size_t>(i)] = product;
  }
  return bars;
}

/// Shifts and scales the table so that the last timestep is (nearly) pure noise and the first stays.
void make_terminal_snr_zero(std::vector<double>& sigmas) {
  std::vector<double> roots(sigmas.size());
  std::transform(sigmas.begin(), sigmas.end(), roots.begin(), [](double s) { return std::sqrt(1 / (s * s + 1)); });
  const double first = roots.front(), last = roots.back();
  for (size_t i = 0; i < roots.size(); ++i) {
    double root = (roots[i] - last) * (first / (first - last));
    double bar = i + 1 < roots.size() ? root * root : kTerminalAlphaBar;
    sigmas[i] = std::sqrt((1 - bar) / bar);
  }
}

/// The 50 entries a consistency model was distilled on.
void keep_distilled_steps(ModelSampling& m) {
  const int64_t n = static_cast<int64_t>(m.sigmas.size());
  m.skip_steps = n / kDistilledSteps;
  std::vector<float> kept(static_cast<size_t>(kDistilledSteps));
  for (int64_t i = 0; i < kDistilledSteps; ++i)
    kept[static_cast<size_t>(kDistilledSteps - 1 - i)] = m.sigmas[static_cast<size_t>(n - 1 - i * m.skip_steps)];
  m.sigmas = std::move(kept);
  m.log_sigmas.clear();
  for (float sigma : m.sigmas) m.log_sigmas.push_back(f32::log(sigma));
}

float time_shift(float alpha, float alpha_less_one, float t) { return alpha * t / (1.0f + alpha_less_one * t); }

}  // namespace

ModelSampling discrete_sampling(Prediction prediction, const DiscreteSchedule& schedule) {
  ModelSampling m;
  m.prediction = prediction;
  std::vector<double> sigmas = alpha_bars(schedule);
  for (double& value : sigmas) value = std::sqrt((1 - value) / value);
  if (schedule.zero_terminal_snr) make_terminal_snr_zero(sigmas);
  for (double sigma : sigmas) {
    m.sigmas.push_back(static_cast<float>(sigma));
    m.log_sigmas.push_back(static_cast<float>(std::log(sigma)));
  }
  if (prediction == Prediction::kLcm) keep_distilled_steps(m);
  return m;
}

ModelSampling continuous_edm_sampling(Prediction prediction, double sigma_min, double sigma_max, double sigma_data) {
  constexpr int64_t kEntries = 1000;  // for schedules that walk a table
  ModelSampling m;
  m.prediction = prediction;
  m.timestep_rule = prediction == Prediction::kCosmosFlow ? TimestepRule::kRatio : TimestepRule::kQuarterLog;
  m.sigma_data = static_cast<float>(sigma_data);
  float first = static_cast<float>(std::log(sigma_min)), last = static_cast<float>(std::log(sigma_max));
  for (int64_t i = 0; i < kEntries; ++i) {
    m.sigmas.push_back(f32::exp(f32::linspace(first, last, kEntries, i)));
    m.log_sigmas.push_back(f32::log(m.sigmas.back()));
  }
  return m;
}

ModelSampling continuous_v_sampling(double sigma_min, double sigma_max) {
  ModelSampling m = continuous_edm_sampling(Prediction::kV, sigma_min, sigma_max);
  m.timestep_rule = TimestepRule::kAngle;
  return m;
}

ModelSampling flow_sampling(double shift, double multiplier) {
  constexpr int64_t kEntries = 1000;
  ModelSampling m;
  m.prediction = Prediction::kFlow;
  m.timestep_rule = TimestepRule::kScaled;
  m.shift = shift;
  m.multiplier = multiplier;
  for (int64_t i = 1; i <= kEntries; ++i)
    m.sigmas.push_back(m.sigma(static_cast<float>(i) / static_cast<float>(kEntries) * static_cast<float>(multiplier)));
  return m;
}

ModelSampling flux_sampling(double mu) {
  constexpr int64_t kEntries = 10000;
  ModelSampling m;
  m.prediction = Prediction::kFlow;
  m.timestep_rule = TimestepRule::kScaled;
  m.shift = mu;
  m.is_exponential_shift = true;
  for (int64_t i = 1; i <= kEntries; ++i)
    m.sigmas.push_back(m.sigma(static_cast<float>(i) / static_cast<float>(kEntries)));
  return m;
}

float ModelSampling::timestep(float sigma) const {
  constexpr float kPi = std::numbers::pi_v<float>;
  switch (timestep_rule) {
    case TimestepRule::kNearest: {
      float wanted = f32::log(sigma);
      auto nearer = [&](float a, float b) { return std::fabs(wanted - a) < std::fabs(wanted - b); };
      auto nearest = std::min_element(log_sigmas.begin(), log_sigmas.end(), nearer);
      return static_cast<float>((nearest - log_sigmas.begin()) * skip_steps + (skip_steps - 1));
    }
    case TimestepRule::kQuarterLog: return 0.25f * f32::log(sigma);
    case TimestepRule::kAngle: return f32::atan(sigma) / kPi * 2.0f;
    case TimestepRule::kScaled: return sigma * static_cast<float>(multiplier);
    case TimestepRule::kRatio: return sigma / (sigma + 1.0f);
  }
  throw Error::bug("a timestep rule without a formula");
}

float ModelSampling::sigma(float timestep) const {
  constexpr float kPi = std::numbers::pi_v<float>;
  switch (timestep_rule) {
    case TimestepRule::kNearest: {
      float entry = (timestep - static_cast<float>(skip_steps - 1)) / static_cast<float>(skip_steps);
      float t = std::clamp(entry, 0.0f, static_cast<float>(sigmas.size() - 1));
      float w = t - std::trunc(t);
      float low = log_sigmas[static_cast<size_t>(std::floor(t))], high = log_sigmas[static_cast<size_t>(std::ceil(t))];
      return f32::exp((1.0f - w) * low + w * high);
    }
    case TimestepRule::kQuarterLog: return f32::exp(timestep / 0.25f);
    case TimestepRule::kAngle: return f32::tan(timestep * kPi / 2.0f);
    case TimestepRule::kScaled: {
      float t = timestep / static_cast<float>(multiplier);
      if (is_exponential_shift) {
        float e = static_cast<float>(std::exp(shift));
        return e / (e + (1.0f / t - 1.0f));
      }
      return shift == 1 ? t : time_shift(static_cast<float>(shift), static_cast<float>(shift - 1), t);
    }
    case TimestepRule::kRatio:
      return timestep >= sigma_max() / (sigma_max() + 1.0f) ? sigma_max() : timestep / (1.0f - timestep);
  }
  throw Error::bug("a timestep rule without a formula");
}

double ModelSampling::percent_to_sigma(double percent) const {
  if (percent <= 0) return timestep_rule == TimestepRule::kScaled ? 1.0 : kBeyondAnySigma;
  if (percent >= 1) return 0;
  double left = 1 - percent;
  switch (timestep_rule) {
    case TimestepRule::kNearest: return sigma(static_cast<float>(left * 999.0));
    case TimestepRule::kScaled:
      if (is_exponential_shift) return std::exp(shift) / (std::exp(shift) + (1 / left - 1));
      return shift == 1 ? left : shift * left / (1 + (shift - 1) * left);
    default: {
      double low = std::log(static_cast<double>(sigma_min()));
      return std::exp((std::log(static_cast<double>(sigma_max())) - low) * left + low);
    }
  }
}

bool ModelSampling::is_max_denoise(float first_sigma) const {
  double highest = sigma_max(), first = first_sigma;
  return std::fabs(highest - first) <= 1e-5 * std::max(highest, std::fabs(first)) || first > highest;
}

void ModelSampling::calculate_input(float sigma, std::span<const float> x, std::span<float> input) const {
  check(x.size() == input.size(), "a model's input has its latent's size");
  float divisor = 1, factor = 1;
  switch (prediction) {
    case Prediction::kFlow:
    case Prediction::kImageToImage:
    case Prediction::kImageToImageFlow: break;
    case Prediction::kCosmosFlow: factor = 1.0f - sigma / (sigma + 1.0f); break;
    default: divisor = f32::sqrt(sigma * sigma + sigma_data * sigma_data);
  }
  for (size_t i = 0; i < x.size(); ++i) input[i] = x[i] / divisor * factor;
}

void ModelSampling::calculate_denoised(float sigma, std::span<const float> output, std::span<const float> x,
                                       std::span<float> denoised) const {
  check(x.size() == output.size() && x.size() == denoised.size(), "a model's output has its latent's size");
  const float data2 = sigma_data * sigma_data, total = sigma * sigma + data2, root = f32::sqrt(total);
  auto each = [&](auto&& formula) {
    for (size_t i = 0; i < x.size(); ++i) denoised[i] = formula(x[i], output[i]);
  };
  switch (prediction) {
    case Prediction::kEps:
    case Prediction::kFlow: return each([&](float x, float out) { return x - out * sigma; });
    case Prediction::kV:
      return each([&](float x, float out) { return x * data2 / total - out * sigma * sigma_data / root; });
    case Prediction::kEdm:
      return each([&](float x, float out) { return x * data2 / total + out * sigma * sigma_data / root; });
    case Prediction::kX0:
    case Prediction::kImageToImage:
    case Prediction::kImageToImageFlow: return each([](float, float out) { return out; });
    case Prediction::kCosmosFlow: {
      float part = sigma / (sigma + 1.0f);
      return each([&](float x, float out) { return x * (1.0f - part) - out * part; });
    }
    case Prediction::kLcm: {
      float t = timestep(sigma) * static_cast<float>(kConsistencyScale);
      float sum = t * t + kConsistencySigmaData * kConsistencySigmaData;
      float skip = kConsistencySigmaData * kConsistencySigmaData / sum, scale = t / f32::sqrt(sum);
      return each([&](float x, float out) { return scale * (x - out * sigma) + skip * x; });
    }
  }
}

Field ModelSampling::noise_scaling(float sigma, const Field& noise, const Field& latent, bool is_max_denoise) const {
  if (is_flow()) return sigma * noise + (1.0f - sigma) * latent;
  bool is_pure = is_max_denoise && prediction != Prediction::kCosmosFlow;
  return noise * (is_pure ? f32::sqrt(1.0f + sigma * sigma) : sigma) + latent;
}

Field ModelSampling::inverse_noise_scaling(float sigma, Field latent) const {
  if (is_flow()) latent = latent / (1.0f - sigma);
  return latent;
}

}  // namespace hearth::diffuse
