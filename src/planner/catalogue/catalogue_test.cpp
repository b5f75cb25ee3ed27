#include "planner/catalogue/catalogue.h"

#include <gtest/gtest.h>

#include "models/testing/tiny_model.h"
#include "planner/catalogue/estimate.h"
#include "planner/catalogue/synthetic.h"
#include "planner/measure/language.h"
#include "planner/measure/picture.h"

namespace hearth::planner {
namespace {

const Catalogue& catalogue() { return Catalogue::built_in(); }
Caps cpu() { return cpu_caps(1); }

std::shared_ptr<const Subject> subject(const std::string& name, const std::string& quant = "") {
  return catalogue().subject(name, quant, catalogue().machine("gb10")->caps).value();
}

double billions(const std::string& name) { return subject(name)->facts().parameters / 1e9; }

// As their makers publish them.
TEST(Catalogue, HasThePublishedNumberOfParameters) {
  EXPECT_NEAR(billions("llama-3.1-8b"), 8.03, 0.01);
  EXPECT_NEAR(billions("llama-3.1-70b"), 70.55, 0.05);
  EXPECT_NEAR(billions("llama-3.1-405b"), 405.85, 0.3);
  EXPECT_NEAR(billions("qwen3-30b-a3b"), 30.53, 0.05);
  EXPECT_NEAR(billions("qwen3-coder-next"), 79.7, 0.5);
  EXPECT_NEAR(billions("gpt-oss-20b"), 20.9, 0.1);
  EXPECT_NEAR(billions("gpt-oss-120b"), 116.8, 0.2);
  EXPECT_NEAR(billions("deepseek-r1"), 671.0, 1);
  EXPECT_NEAR(billions("sdxl"), 2.567, 0.01);
  EXPECT_NEAR(billions("flux.1-dev"), 11.9, 0.1);
}

TEST(Catalogue, WeighsWhatPublishedFilesWeigh) {
  auto weights = [](const std::string& name, const std::string& quant) {
    return static_cast<double>(subject(name, quant)->demand({}).weights_bytes) / 1e9;
  };
  EXPECT_NEAR(weights("llama-3.1-8b", "q4_k_m"), 4.92, 0.03);
  EXPECT_NEAR(weights("llama-3.1-8b", "fp16"), 16.06, 0.02);
  EXPECT_NEAR(weights("llama-3.1-405b", "nvfp4"), 228.3, 0.5);
  EXPECT_NEAR(weights("llama-3.1-405b", "int4"), 210.9, 0.5);
  EXPECT_NEAR(weights("deepseek-r1", "nvfp4"), 377.5, 1);
  EXPECT_NEAR(weights("sdxl", "fp16"), 4.896 + 1.560 + 0.159, 0.4);  // MiB-free sums of the published parts
}

TEST(Catalogue, TellsEstimatesFromMeasurements) {
  EXPECT_FALSE(subject("llama-3.1-8b", "q4_k_m")->facts().is_estimate);
  EXPECT_FALSE(subject("sdxl")->facts().is_estimate);
  EXPECT_TRUE(subject("llama-3.1-8b", "int4")->facts().is_estimate) << "no format of this build";
  for (const char* name : {"qwen3-30b-a3b", "qwen3-coder-next", "gpt-oss-120b", "deepseek-r1", "flux.1-dev"}) {
    EXPECT_TRUE(subject(name)->facts().is_estimate) << name;
  }
}

// SDXL's denoiser has 2.57 billion weights, half a billion of them in convolutions; text encoders and VAE stay.
TEST(Estimate, CountsPicturesInFewerBits) {
  const Ask ask{.width = 1024, .height = 1024};
  const auto wide = subject("sdxl", "fp16"), narrow = subject("sdxl", "fp8"), block = subject("sdxl", "nvfp4");
  EXPECT_TRUE(narrow->facts().is_estimate && block->facts().is_estimate);
  EXPECT_EQ(narrow->facts().quant, "fp8");
  const Demand a = wide->demand(ask), b = narrow->demand(ask), c = block->demand(ask);
  EXPECT_NEAR(static_cast<double>(a.weights_bytes - b.weights_bytes), 2.567e9, 0.02e9);
  EXPECT_LT(c.weights_bytes, b.weights_bytes);
  EXPECT_GT(c.weights_bytes, b.weights_bytes - 1'284'000'000) << "convolutions keep their 16 bits";
  EXPECT_EQ(a.arena_bytes, b.arena_bytes);
  const Phase full = wide->phases(ask)[1], half = narrow->phases(ask)[1];
  EXPECT_EQ(half.flops, full.flops);
  EXPECT_NEAR(half.bytes / full.bytes, 0.5, 0.01);
  EXPECT_EQ(half.math, Math::kF8);
  EXPECT_GT(subject("sdxl+refiner", "int4")->demand(ask).weights_bytes, 4e9);
  EXPECT_FALSE(subject("sdxl", "bf16")->facts().is_estimate);
}

TEST(Estimate, SaysWhereASchemeDoesNotSuit) {
  const auto odd = subject("gpt-oss-20b", "q4_k_m"), even = subject("qwen3-30b-a3b", "q4_k_m");
  EXPECT_NE(odd->facts().notes.back().find("rows of 2880 numbers"), std::string::npos) << odd->facts().notes.back();
  EXPECT_EQ(even->facts().notes.size(), 1u);
}

TEST(Catalogue, NamesWhatThereIs) {
  const Error model = catalogue().subject("llama-3.1-80b", "", cpu()).error();
  EXPECT_EQ(model.code(), Code::kNotFound);
  EXPECT_NE(model.message().find("did you mean 'llama-3.1-8"), std::string::npos) << model.message();
  EXPECT_NE(catalogue().machine("gb11").error().message().find("gb10"), std::string::npos);
  EXPECT_NE(catalogue().subject("sdxl", "q4", cpu()).error().message().find("q4_k_m"), std::string::npos);
}

// The estimate of a model whose code exists is what measuring it gives.
TEST(Estimate, AgreesWithTheRealCodeOnDenseModels) {
  LmShape shape;
  shape.architecture = "llama";
  shape.dim = 1024, shape.layers = 8, shape.heads = 16, shape.kv_heads = 4, shape.head_dim = 64;
  shape.ffn = 4096, shape.vocab = 32000, shape.context = 4096;
  const Quant quant = catalogue().quant("q8_0").value();
  Caps gpu = catalogue().machine("gb10")->caps;
  const LanguageSubject real("real", synthetic_checkpoint("real", shape, quant), gpu);
  const auto estimate = estimated_language("estimate", shape, quant, gpu);
  const Ask ask{.context = 2048, .parallel = 4};
  const Demand a = real.demand(ask), b = estimate->demand(ask);
  EXPECT_NEAR(static_cast<double>(a.weights_bytes) / static_cast<double>(b.weights_bytes), 1, 0.02);
  EXPECT_NEAR(static_cast<double>(a.state_bytes) / static_cast<double>(b.state_bytes), 1, 0.07) << "whole granules";
  EXPECT_EQ(real.facts().kv_bytes_per_token, estimate->facts().kv_bytes_per_token);
  const std::vector<Phase> counted = real.phases(ask), guessed = estimate->phases(ask);
  for (size_t i : {0, 1}) {
    EXPECT_NEAR(counted[i].flops / guessed[i].flops, 1, 0.05) << counted[i].name;
    EXPECT_NEAR(counted[i].bytes / guessed[i].bytes, 1, i == 0 ? 0.3 : 0.05) << counted[i].name;
  }
}

// Against the model loaded by hand: what a sizing pass says is what binding over memory took.
TEST(Measure, SaysOfACheckpointWhatLoadingItTakes) {
  const std::string path = testing::tiny_path("qwen3");
  const LanguageSubject subject("tiny", Checkpoint::open(path), cpu());
  const testing::TinyModel loaded(path, {});
  EXPECT_EQ(subject.demand({}).weights_bytes, loaded.bound_bytes());
  const Demand small = subject.demand({.context = 64, .parallel = 1}), more = subject.demand({.context = 128,
                                                                                              .parallel = 1});
  EXPECT_GT(more.state_bytes, small.state_bytes);
  EXPECT_EQ(more.arena_bytes, small.arena_bytes) << "a step's tensors do not grow with the context";
}

// 6.76 TFLOP of a UNet step and 10.5 of a decoded picture at 1024 x 1024, as other programs count them.
TEST(Measure, CountsTheWorkOfSdxl) {
  const auto sdxl = subject("sdxl");
  const std::vector<Phase> phases = sdxl->phases({.steps = 1, .is_guided = false});
  EXPECT_NEAR(phases[1].flops / 1e12, 6.76, 0.2);
  EXPECT_NEAR(phases[2].flops / 1e12, 10.5, 0.5);
  const std::vector<Phase> guided = sdxl->phases({.steps = 20});
  EXPECT_NEAR(guided[1].flops / phases[1].flops, 40, 0.1);
  EXPECT_NEAR(subject("flux.1-dev")->phases({.steps = 1})[1].flops / 1e12, 74.3, 2);
}

}  // namespace
}  // namespace hearth::planner
