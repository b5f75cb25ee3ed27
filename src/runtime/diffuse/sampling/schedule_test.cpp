// Sigma tables, schedules and sigma nodes against ComfyUI (tests/golden/sampling/make_schedules.py).
#include "runtime/diffuse/sampling/schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "ops/random/testing/golden_file.h"
#include "runtime/diffuse/sampling/scalar.h"

namespace hearth::diffuse {
namespace {

const GoldenFile& golden() {
  static const GoldenFile file("schedules");
  return file;
}

struct NamedModel {
  const char* name;
  ModelSampling model;
};
const std::vector<NamedModel>& models() {
  static const std::vector<NamedModel> all = {
      {"eps", discrete_sampling(Prediction::kEps)},
      {"v_zsnr", discrete_sampling(Prediction::kV, {.zero_terminal_snr = true})},
      {"lcm", discrete_sampling(Prediction::kLcm)},
      {"x0", discrete_sampling(Prediction::kX0)},
      {"img_to_img", discrete_sampling(Prediction::kImageToImage)},
      {"edm", continuous_edm_sampling(Prediction::kEdm, 0.002, 120, 0.5)},
      {"edm_v", continuous_edm_sampling(Prediction::kV, 0.002, 120)},
      {"continuous_v", continuous_v_sampling(0.03, 500)},
      {"flow", flow_sampling(3)},
      {"aura", flow_sampling(1.73, 1)},
      {"flux", flux_sampling(1.15)},
      {"cosmos", continuous_edm_sampling(Prediction::kCosmosFlow, 0.002, 80)},
  };
  return all;
}
const ModelSampling& eps() { return models()[0].model; }

void expect_near(const std::vector<float>& got, const std::vector<float>& wanted, float bound,
                 const std::string& what) {
  ASSERT_EQ(got.size(), wanted.size()) << what;
  for (size_t i = 0; i < got.size(); ++i)
    EXPECT_LE(std::fabs(got[i] - wanted[i]), bound * std::max(1e-2f, std::fabs(wanted[i])))
        << what << "[" << i << "]: " << got[i] << " for " << wanted[i];
}
void expect_golden(const std::vector<float>& got, const std::string& name, float bound = 1e-6f) {
  expect_near(got, golden().floats(name), bound, name);
}

TEST(Scalar, HasTorchsBitsWhereLevelsComeFrom) {
  auto x = golden().floats("exp.x"), y = golden().floats("exp.y");
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(f32::exp(x[i]), y[i]) << "exp " << x[i];
  x = golden().floats("tan.x"), y = golden().floats("tan.y");
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(f32::tan(x[i]), y[i]) << "tan " << x[i];
  x = golden().floats("pow.x");
  f32::pow_each(x, 7);
  EXPECT_EQ(x, golden().floats("pow.y"));
  EXPECT_EQ(f32::exp(-INFINITY), 0);
  EXPECT_EQ(f32::exp(INFINITY), INFINITY);
}

TEST(ModelSampling, TablesAndTheirEnds) {
  for (const auto& [name, model] : models()) {
    std::vector<float> strided;
    size_t stride = std::string(name) == "flux" ? 499 : model.sigmas.size() == 1000 ? 37 : 3;
    for (size_t i = 0; i < model.sigmas.size(); i += stride) strided.push_back(model.sigmas[i]);
    expect_golden(strided, std::string(name) + ".sigmas");
    expect_golden({model.sigma_min(), model.sigma_max()}, std::string(name) + ".ends");
  }
}

TEST(ModelSampling, TimestepsOfLevelsAndBack) {
  for (const auto& [name, model] : models()) {
    const std::string at = name;
    std::vector<float> timesteps, sigmas;
    for (float level : golden().floats(at + ".levels")) timesteps.push_back(model.timestep(level));
    expect_golden(timesteps, at + ".timesteps");
    for (float timestep : golden().floats(at + ".asked")) sigmas.push_back(model.sigma(timestep));
    expect_golden(sigmas, at + ".sigma_of", 2e-6f);
    auto percents = golden().read<double>(at + ".percent");
    const double kPercents[] = {0.0, 0.1, 0.2, 0.5, 0.8, 0.999, 1.0};
    for (size_t i = 0; i < percents.size(); ++i)
      EXPECT_NEAR(model.percent_to_sigma(kPercents[i]), percents[i], 1e-6 * percents[i]) << name;
  }
}

TEST(ModelSampling, WhatGoesInAndWhatComesOut) {
  const std::vector<float> x = {-1.5f, 0.0f, 0.25f, 3.0f}, output = {0.5f, -1.0f, 2.0f, -0.125f};
  for (const auto& [name, model] : models()) {
    const std::string at = name;
    float sigma = model.sigmas[model.sigmas.size() / 2];
    std::vector<float> input(4), denoised(4);
    model.calculate_input(sigma, x, input);
    expect_golden(input, at + ".input");
    model.calculate_denoised(sigma, output, x, denoised);
    expect_golden(denoised, at + ".denoised");
    std::vector<float> noised;
    for (bool is_max : {false, true}) {
      Field field = model.noise_scaling(sigma, Field(output), Field(x), is_max);
      noised.insert(noised.end(), field.span().begin(), field.span().end());
    }
    expect_golden(noised, at + ".noised");
    Field unscaled = model.inverse_noise_scaling(sigma, Field(x));
    expect_golden({unscaled.span().begin(), unscaled.span().end()}, at + ".unscaled");
  }
}

TEST(ModelSampling, ASchedulesFirstLevelSaysWhetherItStartsFromNoise) {
  EXPECT_TRUE(eps().is_max_denoise(eps().sigma_max()));
  EXPECT_TRUE(eps().is_max_denoise(20.0f));
  EXPECT_TRUE(eps().is_max_denoise(eps().sigma_max() * (1 - 5e-6f)));
  EXPECT_FALSE(eps().is_max_denoise(14.5f));
}

TEST(Schedule, EverySchedulerForEveryModel) {
  for (const auto& [name, model] : models())
    for (const std::string& scheduler : scheduler_names())
      for (int64_t steps : {1, 2, 5, 20, 31}) {
        if (scheduler == "kl_optimal" && steps == 1) continue;  // there the reference divides 0 by 0
        expect_golden(schedule_sigmas(scheduler, model, steps).value(),
                      std::string(name) + "." + scheduler + "." + std::to_string(steps), 3e-6f);
      }
}

TEST(Schedule, KSamplersPartOfASchedule) {
  for (const char* sampler : {"euler", "uni_pc"})
    for (const std::string& scheduler : scheduler_names())
      for (const char* denoise : {"1.0", "0.75", "0.5", "0.03"})
        expect_golden(ksampler_sigmas(sampler, scheduler, eps(), {.steps = 6, .denoise = std::stod(denoise)}).value(),
                      std::string("ksampler.") + sampler + "." + scheduler + "." + denoise, 3e-6f);
  EXPECT_TRUE(ksampler_sigmas("euler", "karras", eps(), {.denoise = 0}).value().empty());
}

TEST(Schedule, KSamplerAdvancedsHalvesMeet) {
  Sigmas whole = ksampler_sigmas("euler", "normal", eps(), {.steps = 10}).value();
  Sigmas first = ksampler_sigmas("euler", "normal", eps(), {.steps = 10, .end_step = 4}).value();
  Sigmas second = ksampler_sigmas("euler", "normal", eps(), {.steps = 10, .start_step = 4}).value();
  EXPECT_EQ(first, Sigmas(whole.begin(), whole.begin() + 5));
  EXPECT_EQ(second, Sigmas(whole.begin() + 4, whole.end()));
  Sigmas forced =
      ksampler_sigmas("euler", "normal", eps(), {.steps = 10, .end_step = 4, .is_forced_to_zero = true}).value();
  EXPECT_EQ(forced.back(), 0);
  EXPECT_EQ(Sigmas(forced.begin(), forced.end() - 1), Sigmas(whole.begin(), whole.begin() + 4));
  EXPECT_TRUE(ksampler_sigmas("euler", "normal", eps(), {.steps = 10, .start_step = 10}).value().empty());
  EXPECT_TRUE(ksampler_sigmas("euler", "normal", eps(), {.steps = 10, .start_step = 4, .end_step = 4}).value().empty());
}

TEST(ModelSampling, ImageToImageFlowNoisesAsAFlowAndTakesTheOutputAsItIs) {
  const ModelSampling flow = discrete_sampling(Prediction::kImageToImageFlow);
  const std::vector<float> x = {2, -3}, output = {0.5f, 7};
  std::vector<float> input(2), denoised(2);
  flow.calculate_input(0.25f, x, input);
  flow.calculate_denoised(0.25f, output, x, denoised);
  EXPECT_EQ(input, x);
  EXPECT_EQ(denoised, output);
  const Field noised =
      flow.noise_scaling(0.25f, Field(std::span<const float>(x)), Field(std::span<const float>(output)));
  EXPECT_FLOAT_EQ(noised[0], 0.25f * 2 + 0.75f * 0.5f);
  EXPECT_GT(flow.percent_to_sigma(0), 1e6) << "a table's range has no upper bound, whatever is predicted";
}

TEST(Schedule, SchedulerNodes) {
  for (const char* denoise : {"1.0", "0.5", "0.03"}) {
    expect_golden(basic_sigmas("karras", eps(), 6, std::stod(denoise)).value(), std::string("basic.") + denoise);
    expect_golden(sd_turbo_sigmas(eps(), 4, std::stod(denoise)), std::string("turbo.") + denoise);
  }
  expect_golden(align_your_steps_sigmas("SDXL", 10, 1).value(), "aligned.SDXL.10");
  expect_golden(align_your_steps_sigmas("SDXL", 23, 1).value(), "aligned.SDXL.23");
  expect_golden(align_your_steps_sigmas("SD1", 4, 1).value(), "aligned.SD1.4");
  expect_golden(align_your_steps_sigmas("SVD", 25, 0.5).value(), "aligned.SVD.25");
  EXPECT_TRUE(align_your_steps_sigmas("SD1", 10, 0).value().empty());
  EXPECT_FALSE(align_your_steps_sigmas("SD4", 10, 1));
  EXPECT_TRUE(basic_sigmas("karras", eps(), 6, 0).value().empty());
  expect_golden(karras_sigmas(7, 0.0291675, 14.614642, 5), "karras");
  expect_golden(exponential_sigmas(7, 0.0291675, 14.614642), "exponential");
  expect_golden(polyexponential_sigmas(7, 0.0291675, 14.614642, 1.7), "polyexponential");
  expect_golden(laplace_sigmas(7, 0.0291675, 14.614642, 0.3, 0.7), "laplace");
  expect_golden(vp_sigmas(7), "vp");
  const std::pair<double, double> kBetas[] = {{0.6, 0.6}, {1, 1}, {0.3, 2.5}, {5, 0.9}};
  const char* const kBetaNames[] = {"beta.0.6.0.6", "beta.1.0.1.0", "beta.0.3.2.5", "beta.5.0.0.9"};
  for (size_t i = 0; i < 4; ++i)
    expect_golden(beta_sigmas(eps(), 16, kBetas[i].first, kBetas[i].second), kBetaNames[i]);
  EXPECT_THROW(beta_sigmas(eps(), 16, 0, 1), Error);
}

TEST(Schedule, SigmaNodes) {
  expect_golden(manual_sigmas("14.6, 7 and -.5;+1.25 3."), "manual", 0);
  EXPECT_TRUE(manual_sigmas("none, - . +").empty());
  Sigmas base = golden().floats("karras");
  for (int64_t step : {0, 3, 50}) {
    auto [high, low] = split_sigmas(base, step);
    expect_golden(high, "split." + std::to_string(step) + ".high", 0);
    expect_golden(low, "split." + std::to_string(step) + ".low", 0);
  }
  for (const char* denoise : {"0.0", "0.5", "1.0"}) {
    auto [high, low] = split_sigmas_denoise(base, std::stod(denoise));
    expect_golden(high, std::string("split_denoise.") + denoise + ".high", 0);
    expect_golden(low, std::string("split_denoise.") + denoise + ".low", 0);
  }
  expect_golden(flip_sigmas(base), "flip", 0);
  expect_golden(set_first_sigma(base, 20), "first", 0);
  for (const char* spacing : {"linear", "cosine", "sine"})
    expect_golden(extend_intermediate_sigmas(base, {3, 12, 1, spacing}), std::string("extend.") + spacing);
  EXPECT_EQ(sampling_percent_to_sigma(eps(), 0, true), eps().sigma_max());
  EXPECT_EQ(sampling_percent_to_sigma(eps(), 1, true), eps().sigma_min());
  EXPECT_EQ(sampling_percent_to_sigma(eps(), 1, false), 0);
}

TEST(Schedule, RefusesInWords) {
  auto unknown = schedule_sigmas("karas", eps(), 5);
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message().find("did you mean 'karras'?"), std::string::npos) << unknown.error().message();
  EXPECT_FALSE(schedule_sigmas("karras", eps(), 0));
}

}  // namespace
}  // namespace hearth::diffuse
