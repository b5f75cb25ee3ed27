// Every sampler with every scheduler on a denoiser of closed form against ComfyUI's own
// (tests/golden/sampling/make_samplers.py): at most 1e-5 off where nothing is random, 1e-4 where noise is added.
#include "runtime/diffuse/sampling/sampler.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <sstream>

#include "core/base/check.h"
#include "ops/random/testing/golden_file.h"
#include "runtime/diffuse/sampling/scalar.h"
#include "runtime/diffuse/sampling/schedule.h"
#include "runtime/diffuse/sampling/testing/analytic.h"

namespace hearth::diffuse {
namespace {

const GoldenFile& golden() {
  static const GoldenFile file("samplers");
  return file;
}
const ModelSampling& eps() {
  static const ModelSampling model = discrete_sampling(Prediction::kEps);
  return model;
}

bool is_deterministic(const std::string& name) {
  static const std::set<std::string> kDeterministic = {"euler",
                                                       "euler_cfg_pp",
                                                       "heun",
                                                       "heunpp2",
                                                       "exp_heun_2_x0",
                                                       "dpm_2",
                                                       "lms",
                                                       "dpm_fast",
                                                       "dpm_adaptive",
                                                       "dpmpp_2m",
                                                       "dpmpp_2m_cfg_pp",
                                                       "ipndm",
                                                       "ipndm_v",
                                                       "deis",
                                                       "res_multistep",
                                                       "res_multistep_cfg_pp",
                                                       "gradient_estimation",
                                                       "gradient_estimation_cfg_pp",
                                                       "ddim",
                                                       "uni_pc",
                                                       "uni_pc_bh2"};
  return kDeterministic.count(name) != 0;
}
float bound_of(const std::string& name) { return is_deterministic(name) ? 1e-5f : 1e-4f; }

struct Case {
  SamplerChoice choice;
  const ModelSampling& model;
  Sigmas sigmas;
  uint64_t seed = 31;
  LatentShape shape = {1, 4, 4, 4};
  Field latent = Field(64);
  float cfg = 1.5f;
};

struct Outcome {
  Field result, last_guess;
  int64_t told = 0;
};

Outcome run(const Case& c) {
  Outcome out;
  AnalyticDenoiser denoiser(c.model, c.cfg);
  SamplerSetup setup{c.model, c.shape, c.seed, {}, [&](const SamplerStep& step) {
                       ++out.told;
                       out.last_guess = step.denoised;
                     }};
  Field noise(batch_noise({}, c.seed, c.shape.batch, c.shape.numel() / c.shape.batch));
  float first = c.sigmas.front();
  Field x = c.model.noise_scaling(first, noise, c.latent, c.model.is_max_denoise(first));
  x = sample(c.choice, denoiser, std::move(x), c.sigmas, setup);
  out.result = c.model.inverse_noise_scaling(c.sigmas.back(), std::move(x));
  return out;
}

Sigmas levels(const ModelSampling& model, const std::string& sampler, const std::string& scheduler, int64_t steps) {
  return ksampler_sigmas(sampler, scheduler, model, {.steps = steps}).value();
}

float worst(std::span<const float> got, std::span<const float> wanted) {
  EXPECT_EQ(got.size(), wanted.size());
  float worst = 0;
  for (size_t i = 0; i < std::min(got.size(), wanted.size()); ++i) {
    float off = std::fabs(got[i] - wanted[i]);
    worst = std::isnan(off) && !(std::isnan(got[i]) && std::isnan(wanted[i])) ? INFINITY : std::max(worst, off);
  }
  return worst;
}

SamplerChoice parse(const std::string& text) {  // name;key=value;...
  std::istringstream parts(text);
  SamplerChoice choice;
  std::getline(parts, choice.name, ';');
  for (std::string part; std::getline(parts, part, ';');) {
    std::string key = part.substr(0, part.find('=')), value = part.substr(part.find('=') + 1);
    if (key == "solver_type")
      choice.parameters[key] = value;
    else
      choice.parameters[key] = std::stod(value);
  }
  return choice;
}

/// The samplers the goldens' ComfyUI has; the newest has known answers of its own below.
std::vector<std::string> golden_names() {
  std::vector<std::string> names = sampler_names();
  names.erase(std::find(names.begin(), names.end(), "cfgpp_ud10_ab"));
  return names;
}

TEST(Sampler, EverySamplerWithEveryScheduler) {
  for (const std::string& name : golden_names()) {
    auto wanted = golden().floats("grid." + name);
    float worst_of_all = 0;
    size_t at = 0;
    for (int64_t steps : {5, 20})
      for (const std::string& scheduler : scheduler_names()) {
        Field got = run({{name, {}}, eps(), levels(eps(), name, scheduler, steps)}).result;
        float off = worst(got.span(), std::span(wanted).subspan(at, 64));
        EXPECT_LE(off, bound_of(name)) << name << " with " << scheduler << ", " << steps << " steps";
        worst_of_all = std::max(worst_of_all, off);
        at += 64;
      }
    RecordProperty(name, std::to_string(worst_of_all));
    if (std::getenv("HEARTH_SHOW_ERRORS")) std::printf("%-32s %.2g\n", name.c_str(), worst_of_all);
  }
}

TEST(Sampler, TellsEveryStepAndItsGuess) {
  for (const std::string& name : golden_names()) {
    auto wanted = golden().floats("seen." + name);
    Outcome out = run({{name, {}}, eps(), levels(eps(), name, "karras", 5)});
    EXPECT_EQ(static_cast<float>(out.told), wanted[0]) << name;
    EXPECT_LE(worst(out.last_guess.span(), std::span(wanted).subspan(64)), bound_of(name)) << name;
  }
}

TEST(Sampler, PartOfAScheduleFromABatchOfLatents) {
  Field latent(48);
  for (int64_t i = 0; i < 48; ++i) latent[i] = f32::linspace(-1, 1, 48, i);
  for (const std::string& name : golden_names()) {
    Sigmas sigmas = levels(eps(), name, "normal", 12);
    sigmas = Sigmas(sigmas.begin() + 3, sigmas.begin() + 9);
    Field got = run({{name, {}}, eps(), sigmas, (uint64_t{1} << 40) + 3, {2, 4, 3, 2}, latent}).result;
    EXPECT_LE(worst(got.span(), golden().floats("part." + name)), bound_of(name)) << name;
  }
}

TEST(Sampler, ZeroTerminalSnr) {
  const ModelSampling model = discrete_sampling(Prediction::kV, {.zero_terminal_snr = true});
  for (const std::string& name : golden_names()) {
    Field got = run({{name, {}}, model, levels(model, name, "sgm_uniform", 8)}).result;
    EXPECT_LE(worst(got.span(), golden().floats("zsnr." + name)), bound_of(name)) << name;
  }
}

TEST(Sampler, RectifiedFlow) {
  const ModelSampling model = flow_sampling(3);
  for (const std::string& name : sampler_names()) {
    if (!golden().has("flow." + name)) continue;
    Field got = run({{name, {}}, model, levels(model, name, "simple", 8)}).result;
    EXPECT_LE(worst(got.span(), golden().floats("flow." + name)), bound_of(name)) << name;
  }
}

TEST(Sampler, ParametersMeanWhatTheNodesMean) {
  int count = 0;
  for (const TensorInfo& tensor : golden().tensors()) {
    const std::string prefix = "variant.";
    if (tensor.name.rfind(prefix, 0) != 0) continue;
    SamplerChoice choice = parse(tensor.name.substr(prefix.size()));
    Field got = run({choice, eps(), levels(eps(), choice.name, "karras", 10)}).result;
    EXPECT_LE(worst(got.span(), golden().floats(tensor.name)), 1e-4f) << tensor.name;
    ++count;
  }
  EXPECT_EQ(count, 29);
}

TEST(Sampler, CfgPpUd10HasItsKnownAnswers) {  // ComfyUI at 95539f56 in float64, on these quadratic guesses
  class Quadratic final : public Denoiser {
   public:
    Field denoise(const Field& x, float sigma) override {
      uncond_ = x * (0.8f / (1.2f + sigma)) - x * x * (0.03f / (1.0f + sigma));
      return x * (1.0f / (1.0f + sigma)) + x * x * (0.05f / (1.0f + sigma));
    }
    void keep_uncond() override {}
    const Field& uncond() const override { return uncond_; }

   private:
    Field uncond_;
  };
  const std::vector<float> x = {0.5f, -1.0f, 2.0f, 0.25f};
  const ModelSampling flow = flow_sampling(1);
  auto answer = [&](const ModelSampling& model, const Sigmas& sigmas) {
    Quadratic denoiser;
    return sample({"cfgpp_ud10_ab", {}}, denoiser, Field(x), sigmas, {model, {1, 4, 1, 1}, 0, {}, {}});
  };
  EXPECT_LE(worst(answer(eps(), {14.614642f, 6.0f, 2.5f, 1.0f, 0.4f, 0.0291675f, 0.0f}).span(),
                  std::vector<float>{0.03934933f, -0.07428718f, 0.16713878f, 0.0194833f}),
            2e-6f);
  EXPECT_LE(worst(answer(flow, {0.98f, 0.75f, 0.5f, 0.25f, 0.1f, 0.0f}).span(),
                  std::vector<float>{0.34720716f, -0.56539606f, 1.74588985f, 0.16749568f}),
            2e-6f);
}

TEST(Sampler, GpuNamesTakeTheirNoiseFromTheDevice) {
  Case c{{"dpmpp_2m_sde_gpu", {}}, eps(), levels(eps(), "dpmpp_2m_sde", "karras", 6)};
  auto with = [&](const char* name, const NoiseMachine& machine) {
    AnalyticDenoiser denoiser(eps(), 1.5f);
    return sample({name, {}}, denoiser, Field(64, 1.0f), c.sigmas, {eps(), c.shape, 5, machine, {}});
  };
  NoiseMachine cuda{NoiseMachine::Kind::kCuda, {}, 132, 2048};
  Field cpu = with("dpmpp_2m_sde", cuda), gpu = with("dpmpp_2m_sde_gpu", cuda), on_cpu = with("dpmpp_2m_sde_gpu", {});
  EXPECT_EQ(worst(cpu.span(), on_cpu.span()), 0);
  EXPECT_GT(worst(gpu.span(), cpu.span()), 0.01f);
}

TEST(Sampler, StopsWhereTheModelDoes) {
  class Stopping final : public Denoiser {
   public:
    Field denoise(const Field& x, float) override {
      if (++calls == 3) throw Error(Code::kCancelled, "stopped");
      return x * 0.5f;
    }
    void keep_uncond() override {}
    const Field& uncond() const override { return uncond_; }
    int calls = 0;

   private:
    Field uncond_ = Field(64);
  };
  for (const std::string& name : sampler_names()) {
    Stopping model;
    EXPECT_THROW(
        sample({name, {}}, model, Field(64, 1.0f), levels(eps(), name, "karras", 8), {eps(), {1, 4, 4, 4}, 1, {}, {}}),
        Error)
        << name;
    EXPECT_EQ(model.calls, 3) << name;
  }
}

TEST(Sampler, NoStepsLeaveTheLatentAlone) {
  AnalyticDenoiser denoiser(eps(), 1);
  for (const std::string& name : sampler_names()) {
    Field x = sample({name, {}}, denoiser, Field(64, 3.0f), Sigmas{1.0f}, {eps(), {1, 4, 4, 4}, 1, {}, {}});
    EXPECT_EQ(x[7], 3.0f) << name;
  }
  EXPECT_EQ(denoiser.calls, 0);
}

TEST(Sampler, RefusesInWords) {
  auto message = [](const SamplerChoice& choice) {
    auto checked = check_sampler(choice);
    return checked ? std::string() : checked.error().message();
  };
  EXPECT_EQ(message({"euler_ancestral", {{"eta", 0.5}}}), "");
  EXPECT_EQ(message({"eulr", {}}), "no sampler is named 'eulr'; did you mean 'euler'?");
  EXPECT_EQ(message({"euler", {{"eta", 0.5}}}), "euler has no parameter 'eta'");
  EXPECT_EQ(message({"euler_ancestral", {{"eta", 101.0}}}), "euler_ancestral's eta is a number from 0 to 100, not 101");
  EXPECT_EQ(message({"seeds_2", {{"solver_type", "phi_3"}}}),
            "seeds_2's solver_type is one of phi_1, phi_2, not 'phi_3'");
}

}  // namespace
}  // namespace hearth::diffuse
