// Whole picture workflows on an engine that only writes down what it is asked.
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "formats/image/picture.h"
#include "formats/json/json.h"
#include "workflow/nodes/common.h"
#include "workflow/picture_work.h"
#include "workflow/testing/fixture.h"

namespace hearth::workflow {
namespace {

using testing::Bench;
using testing::parse;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Gives empty models and grey pictures, and writes down what it is asked.
class FakeWork final : public PictureWork {
 public:
  explicit FakeWork(Allocator& memory) : memory_(memory) {}
  diffuse::CheckpointParts load_checkpoint(const std::string& path, const diffuse::Watch&) override {
    loaded.push_back(std::filesystem::path(path).filename().string());
    return {diffuse::Model{}, diffuse::TextEncoder{}, diffuse::Vae{}};
  }
  diffuse::Model load_diffusion_model(const std::string&, const diffuse::Watch&) override { return {}; }
  diffuse::TextEncoder load_text_encoder(const std::vector<std::string>&, const diffuse::Watch&) override { return {}; }
  diffuse::Vae load_vae(const std::string& path, const diffuse::Watch&) override {
    loaded.push_back(std::filesystem::path(path).filename().string());
    return {};
  }
  diffuse::Condition encode_text(const diffuse::TextEncoder&, const diffuse::PromptWords& words,
                                 const diffuse::Watch&) override {
    texts.push_back(words.l);
    diffuse::Condition one;
    one.context = filled(memory_, {1, 77, 4}, 1.0f);
    return one;
  }
  diffuse::ModelSampling sampling_of(const diffuse::Model&) override {
    return diffuse::discrete_sampling(diffuse::Prediction::kEps);
  }
  int64_t latent_channels(const diffuse::Model&) override { return 4; }
  diffuse::Sampled sample(const diffuse::SampleRequest& request, const diffuse::Watch& watch) override {
    requests.push_back(request);
    int64_t steps = static_cast<int64_t>(request.sigmas.size()) - 1;
    for (int64_t i = 1; i <= steps; ++i) {
      if (watch.is_cancelled()) throw Error(Code::kCancelled, "interrupted");
      if (watch.preview) watch.preview(request.guider.model, request.latent.samples);
      watch.progress(i, steps);
    }
    diffuse::Sampled out;
    out.output.samples = filled(memory_, request.latent.samples.shape(), 2.0f);
    out.denoised.samples = filled(memory_, request.latent.samples.shape(), 3.0f);
    return out;
  }
  Tensor decode(const diffuse::Vae&, const Tensor& samples, const diffuse::VaeOptions& options,
                const diffuse::Watch&) override {
    vae_options = options;
    return filled(memory_, {samples.dim(0), samples.dim(2) * 8, samples.dim(3) * 8, 3}, 0.5f);
  }
  Tensor encode(const diffuse::Vae&, const Tensor& pixels, const diffuse::VaeOptions&, const diffuse::Watch&) override {
    encoded = pixels;
    return filled(memory_, {pixels.dim(0), 4, pixels.dim(1) / 8, pixels.dim(2) / 8}, 1.0f);
  }
  diffuse::Latent add_noise(const diffuse::Model&, const diffuse::Noise& noise, float sigma,
                            const diffuse::Latent& latent) override {
    noise_added = {noise.seed, sigma};
    return latent;
  }
  std::string preview_decoder(const diffuse::Model&) override { return "taesd_decoder"; }
  Tensor decode_preview(const diffuse::Model&, const diffuse::Vae&, const Tensor& denoised,
                        const diffuse::Watch&) override {
    ++tiny_previews;
    return filled(memory_, {1, denoised.dim(2) * 8, denoised.dim(3) * 8, 3}, 0.75f);
  }
  Tensor preview(const diffuse::Model&, const Tensor& denoised) override {
    return filled(memory_, {1, denoised.dim(2), denoised.dim(3), 3}, 0.25f);
  }
  void free_unused() override {}

  std::vector<std::string> loaded, texts;
  std::vector<diffuse::SampleRequest> requests;
  std::pair<uint64_t, float> noise_added;
  int tiny_previews = 0;
  diffuse::VaeOptions vae_options;
  Tensor encoded;

 private:
  Allocator& memory_;
};

class PictureNodes : public ::testing::Test {
 protected:
  PictureNodes() {
    bench_.services.pictures = &work_;
    bench_.folders.write("models/checkpoints/m.safetensors", "");
    bench_.folders.write("models/loras/l.safetensors", "");
  }
  // The default workflow with `nodes` set or added.
  JobResult run(std::string_view nodes, const Value& extra = Value::object()) {
    Value prompt = parse(R"({"4": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "m.safetensors"}},
        "5": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 32, "batch_size": 1}},
        "6": {"class_type": "CLIPTextEncode", "inputs": {"text": "a cat", "clip": ["4", 1]}},
        "7": {"class_type": "CLIPTextEncode", "inputs": {"text": "", "clip": ["4", 1]}},
        "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["4", 2]}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["8", 0], "filename_prefix": "ComfyUI"}}})");
    const Value more = parse(nodes);
    for (const auto& [id, node] : more.as_object()) prompt.set(id, node);
    return bench_.run_value(prompt, extra);
  }
  Bench bench_{native_registry(), 1 << 24};
  FakeWork work_{bench_.memory};
};

constexpr const char* kSampler =
    R"({"3": {"class_type": "KSampler", "inputs": {"model": ["4", 0], "seed": 18446744073709551615,
    "steps": 4, "cfg": 6.5, "sampler_name": "euler", "scheduler": "normal", "positive": ["6", 0], "negative": ["7", 0],
    "latent_image": ["5", 0], "denoise": 1}}})";

TEST_F(PictureNodes, TheDefaultWorkflow) {
  JobResult result = run(kSampler, parse(R"({"preview_method": "auto"})"));
  ASSERT_EQ(result.end, JobResult::End::kSuccess) << json::write(bench_.verdict.error) << bench_.events.lines.back();
  ASSERT_EQ(work_.requests.size(), 1u);
  const diffuse::SampleRequest& request = work_.requests[0];
  EXPECT_EQ(request.noise.seed, ~uint64_t{0});
  EXPECT_EQ(request.sigmas.size(), 5u);
  EXPECT_EQ(request.sigmas.back(), 0.0f);
  EXPECT_EQ(request.guider.cfg, 6.5);
  EXPECT_EQ(work_.texts, (std::vector<std::string>{"", "a cat"}));
  EXPECT_EQ(std::count(bench_.events.lines.begin(), bench_.events.lines.end(), "step 3 4/4 image/jpeg"), 1);
  image::Decoded picture = image::decode(read_file(bench_.places.output + "/ComfyUI_00001_.png"));
  EXPECT_EQ(picture.picture.width, 64);
  EXPECT_EQ(picture.picture.height, 32);

  run(kSampler);
  EXPECT_EQ(work_.requests.size(), 1u) << "all of it from the cache";
  bench_.cache.drop_models();
  run(kSampler);
  EXPECT_EQ(work_.loaded.size(), 1u) << "pictures were still there, so no model was needed";
}

TEST_F(PictureNodes, PreviewsAreOfTheTinyDecoderWhereItIsWantedAndThere) {
  const Value wants_tiny = parse(R"({"preview_method": "taesd"})");
  run(kSampler, wants_tiny);
  EXPECT_EQ(work_.tiny_previews, 0) << "no such file: the map of channels";
  EXPECT_EQ(std::count(bench_.events.lines.begin(), bench_.events.lines.end(), "step 3 4/4 image/jpeg"), 1);
  bench_.folders.write("models/vae_approx/taesdxl_decoder.safetensors", "");
  bench_.folders.write("models/vae_approx/taesd_decoder.pth", "");
  bench_.cache.clear();
  work_.loaded.clear();
  run(kSampler, wants_tiny);
  EXPECT_EQ(work_.tiny_previews, 4);
  EXPECT_EQ(work_.loaded.back(), "taesd_decoder.pth");
  bench_.cache.clear();
  run(kSampler, parse(R"({"preview_method": "latent2rgb"})"));
  EXPECT_EQ(work_.tiny_previews, 4);
}

TEST_F(PictureNodes, TinyAutoencodersAreListedAndLoadedInPairs) {
  bench_.folders.write("models/vae_approx/taesd_decoder.safetensors", "");
  bench_.folders.write("models/vae_approx/taesdxl_decoder.safetensors", "");
  bench_.folders.write("models/vae_approx/taesdxl_encoder.safetensors", "");
  EXPECT_EQ(bench_.registry.find("VAELoader")->input("vae_name")->choices_of(bench_.places),
            (std::vector<std::string>{"taesdxl"}));
  const std::string sampler(kSampler);
  run(sampler.substr(0, sampler.size() - 1) + R"(, "40": {"class_type": "VAELoader", "inputs": {"vae_name": "taesdxl"}},
      "8": {"class_type": "VAEDecode", "inputs": {"samples": ["3", 0], "vae": ["40", 0]}}})");
  EXPECT_EQ(std::count(work_.loaded.begin(), work_.loaded.end(), "taesdxl_decoder.safetensors"), 1);
  EXPECT_EQ(std::count(work_.loaded.begin(), work_.loaded.end(), "taesdxl_encoder.safetensors"), 1);
}

TEST_F(PictureNodes, NoiseIsAddedAndPerpNegGuides) {
  JobResult result = run(R"({"14": {"class_type": "RandomNoise", "inputs": {"noise_seed": 9}},
      "16": {"class_type": "AlignYourStepsScheduler", "inputs": {"model_type": "SD1", "steps": 10, "denoise": 1}},
      "11": {"class_type": "ModelSamplingContinuousEDM", "inputs": {"model": ["4", 0], "sampling": "edm", "sigma_max": 80, "sigma_min": 0.01}},
      "12": {"class_type": "DifferentialDiffusion", "inputs": {"model": ["11", 0]}},
      "17": {"class_type": "AddNoise", "inputs": {"model": ["12", 0], "noise": ["14", 0], "sigmas": ["16", 0], "latent_image": ["5", 0]}},
      "13": {"class_type": "PerpNegGuider", "inputs": {"model": ["12", 0], "positive": ["6", 0], "negative": ["7", 0],
             "empty_conditioning": ["7", 0], "cfg": 3, "neg_scale": 1.5}},
      "15": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
      "18": {"class_type": "SamplerCustomAdvanced", "inputs": {"noise": ["14", 0], "guider": ["13", 0], "sampler": ["15", 0],
             "sigmas": ["16", 0], "latent_image": ["17", 0]}},
      "8": {"class_type": "VAEDecode", "inputs": {"samples": ["18", 0], "vae": ["4", 2]}}})");
  ASSERT_EQ(result.end, JobResult::End::kSuccess)
      << json::write(bench_.verdict.node_errors) << bench_.events.lines.back();
  EXPECT_EQ(work_.noise_added, (std::pair<uint64_t, float>{9, 14.6146412293f}));
  const diffuse::Guider& guider = work_.requests.at(0).guider;
  EXPECT_EQ(guider.kind, diffuse::Guider::Kind::kPerpNeg);
  EXPECT_EQ(guider.negative_scale, 1.5);
  EXPECT_EQ(guider.middle.size(), 1u);
  EXPECT_EQ(guider.model.differential, 1.0f);
  EXPECT_EQ(guider.model.prediction, diffuse::Prediction::kEdm);
  EXPECT_EQ(guider.model.continuous->sigma_data, 0.5);
  EXPECT_EQ(guider.model.continuous->sigma_max, 80);
}

constexpr const char* kDualModel = R"({"14": {"class_type": "RandomNoise", "inputs": {"noise_seed": 9}},
    "10": {"class_type": "ModelSamplingContinuousEDM", "inputs": {"model": ["4", 0], "sampling": "edm_playground_v2.5",
           "sigma_max": 80, "sigma_min": 0.002}},
    "16": {"class_type": "BasicScheduler", "inputs": {"model": ["4", 0], "scheduler": "simple", "steps": 3, "denoise": 1}},
    "15": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
    "3": {"class_type": "SamplerCustomAdvanced", "inputs": {"noise": ["14", 0], "guider": ["13", 0],
          "sampler": ["15", 0], "sigmas": ["16", 0], "latent_image": ["5", 0]}},
    "13": {"class_type": "DualModelGuider", "inputs": )";

TEST_F(PictureNodes, TwoModelsGuide) {
  const std::string both = R"({"model": ["4", 0], "positive": ["6", 0], "cfg": 3, "model_negative": ["10", 0],
                               "negative": ["7", 0]}}})";
  ASSERT_EQ(run(kDualModel + both).end, JobResult::End::kSuccess) << bench_.events.lines.back();
  const diffuse::Guider two = work_.requests.at(0).guider;
  EXPECT_EQ(two.kind, diffuse::Guider::Kind::kDualModel);
  EXPECT_EQ(two.cfg, 3);
  EXPECT_FALSE(two.model.prediction);
  EXPECT_FALSE(two.model.has_playground_latents);
  EXPECT_EQ(two.negative_model->prediction, diffuse::Prediction::kEdm);
  EXPECT_TRUE(two.negative_model->has_playground_latents);
  EXPECT_EQ(two.negative_model->continuous->sigma_data, 0.5);
  EXPECT_EQ(two.negative.size(), 1u);

  const std::string one = R"({"model": ["4", 0], "positive": ["6", 0], "cfg": 4, "negative": ["7", 0]}}})";
  ASSERT_EQ(run(kDualModel + one).end, JobResult::End::kSuccess) << bench_.events.lines.back();
  EXPECT_EQ(work_.requests.at(1).guider.kind, diffuse::Guider::Kind::kCfg);
  EXPECT_FALSE(work_.requests.at(1).guider.negative_model);
}

TEST_F(PictureNodes, TwoModelsNeedANegativeUnlessGuidanceIsOff) {
  const std::string none = R"({"model": ["4", 0], "positive": ["6", 0], "cfg": 1, "model_negative": ["10", 0]}}})";
  ASSERT_EQ(run(kDualModel + none).end, JobResult::End::kSuccess) << bench_.events.lines.back();
  const std::string guided = R"({"model": ["4", 0], "positive": ["6", 0], "cfg": 2, "model_negative": ["10", 0]}}})";
  ASSERT_EQ(run(kDualModel + guided).end, JobResult::End::kError);
  const std::string told = bench_.events.frames.back().second.at("exception_message").as_string();
  EXPECT_NE(told.find("connect a CLIPTextEncode without words"), std::string::npos) << told;
}

TEST_F(PictureNodes, AdvancedSamplingInTwoHalves) {
  JobResult result =
      run(R"({"1": {"class_type": "KSamplerAdvanced", "inputs": {"model": ["4", 0], "add_noise": "enable",
      "noise_seed": 5, "steps": 10, "cfg": 7, "sampler_name": "euler", "scheduler": "karras", "positive": ["6", 0],
      "negative": ["7", 0], "latent_image": ["5", 0], "start_at_step": 0, "end_at_step": 6,
      "return_with_leftover_noise": "enable"}},
      "3": {"class_type": "KSamplerAdvanced", "inputs": {"model": ["4", 0], "add_noise": "disable",
      "noise_seed": 5, "steps": 10, "cfg": 7, "sampler_name": "euler", "scheduler": "karras", "positive": ["6", 0],
      "negative": ["7", 0], "latent_image": ["1", 0], "start_at_step": 6, "end_at_step": 10000,
      "return_with_leftover_noise": "disable"}}})");
  ASSERT_EQ(result.end, JobResult::End::kSuccess) << bench_.events.lines.back();
  ASSERT_EQ(work_.requests.size(), 2u);
  EXPECT_EQ(work_.requests[0].sigmas.size(), 7u);
  EXPECT_GT(work_.requests[0].sigmas.back(), 0.0f);
  EXPECT_EQ(work_.requests[1].sigmas.front(), work_.requests[0].sigmas.back());
  EXPECT_TRUE(work_.requests[1].noise.is_off);
  EXPECT_EQ(work_.requests[1].latent.samples.data<float>()[0], 2.0f);
}

TEST_F(PictureNodes, CustomSamplingWithLoraAndRescale) {
  JobResult result = run(R"({"10": {"class_type": "LoraLoader", "inputs": {"model": ["4", 0], "clip": ["4", 1],
      "lora_name": "l.safetensors", "strength_model": 0.5, "strength_clip": 0}},
      "11": {"class_type": "RescaleCFG", "inputs": {"model": ["10", 0], "multiplier": 0.7}},
      "12": {"class_type": "ModelSamplingDiscrete", "inputs": {"model": ["11", 0], "sampling": "v_prediction", "zsnr": true}},
      "13": {"class_type": "CFGGuider", "inputs": {"model": ["12", 0], "positive": ["6", 0], "negative": ["7", 0], "cfg": 3}},
      "14": {"class_type": "RandomNoise", "inputs": {"noise_seed": 9}},
      "15": {"class_type": "SamplerDPMPP_2M_SDE", "inputs": {"solver_type": "heun", "eta": 0.5, "s_noise": 1, "noise_device": "cpu"}},
      "16": {"class_type": "BasicScheduler", "inputs": {"model": ["12", 0], "scheduler": "simple", "steps": 8, "denoise": 0.5}},
      "17": {"class_type": "SplitSigmas", "inputs": {"sigmas": ["16", 0], "step": 3}},
      "18": {"class_type": "SamplerCustomAdvanced", "inputs": {"noise": ["14", 0], "guider": ["13", 0], "sampler": ["15", 0],
             "sigmas": ["17", 1], "latent_image": ["5", 0]}},
      "8": {"class_type": "VAEDecodeTiled", "inputs": {"samples": ["18", 1], "vae": ["4", 2], "tile_size": 128, "overlap": 64,
            "temporal_size": 64, "temporal_overlap": 8}}})");
  ASSERT_EQ(result.end, JobResult::End::kSuccess)
      << json::write(bench_.verdict.node_errors) << bench_.events.lines.back();
  const diffuse::SampleRequest& request = work_.requests.at(0);
  EXPECT_EQ(request.guider.model.loras.at(0).strength, 0.5);
  EXPECT_EQ(request.guider.model.rescale_cfg, 0.7f);
  EXPECT_EQ(request.guider.model.prediction, diffuse::Prediction::kV);
  EXPECT_EQ(request.sampler.name, "dpmpp_2m_sde");
  EXPECT_EQ(std::get<std::string>(request.sampler.parameters.at("solver_type")), "heun");
  EXPECT_EQ(request.sigmas.size(), 6u);
  EXPECT_EQ(work_.vae_options.tile, 128);
  EXPECT_EQ(work_.vae_options.overlap, 32);
}

TEST_F(PictureNodes, ConditioningCarriesAreasMasksAndTimes) {
  JobResult result = run(
      R"({"20": {"class_type": "ConditioningSetArea", "inputs": {"conditioning": ["6", 0], "width": 64, "height": 128,
      "x": 8, "y": 16, "strength": 0.8}},
      "21": {"class_type": "SolidMask", "inputs": {"value": 1, "width": 4, "height": 4}},
      "22": {"class_type": "ConditioningSetMask", "inputs": {"conditioning": ["20", 0], "mask": ["21", 0], "strength": 0.6, "set_cond_area": "mask bounds"}},
      "23": {"class_type": "ConditioningSetTimestepRange", "inputs": {"conditioning": ["22", 0], "start": 0.1, "end": 0.9}},
      "24": {"class_type": "ConditioningConcat", "inputs": {"conditioning_to": ["7", 0], "conditioning_from": ["6", 0]}},
      "25": {"class_type": "ConditioningCombine", "inputs": {"conditioning_1": ["23", 0], "conditioning_2": ["24", 0]}},
      "26": {"class_type": "ConditioningZeroOut", "inputs": {"conditioning": ["6", 0]}},
      "3": {"class_type": "KSampler", "inputs": {"model": ["4", 0], "seed": 1, "steps": 2, "cfg": 1, "sampler_name": "euler",
      "scheduler": "normal", "positive": ["25", 0], "negative": ["26", 0], "latent_image": ["5", 0], "denoise": 1}}})");
  ASSERT_EQ(result.end, JobResult::End::kSuccess) << bench_.events.lines.back();
  const diffuse::Guider& guider = work_.requests.at(0).guider;
  ASSERT_EQ(guider.positive.size(), 2u);
  const diffuse::Condition& first = guider.positive[0];
  EXPECT_EQ(first.area->width, 8);
  EXPECT_EQ(first.area->y, 2);
  EXPECT_FLOAT_EQ(first.strength, 0.8f);
  EXPECT_TRUE(first.set_area_to_bounds);
  EXPECT_FLOAT_EQ(first.mask_strength, 0.6f);
  EXPECT_EQ(first.start_percent, 0.1);
  EXPECT_EQ(guider.positive[1].context.dim(1), 154);
  EXPECT_EQ(guider.negative[0].context.data<float>()[0], 0.0f);
}

TEST_F(PictureNodes, InpaintingGreysTheHoleAndGrowsTheMask) {
  JobResult result = run(
      R"({"30": {"class_type": "EmptyImage", "inputs": {"width": 35, "height": 32, "batch_size": 1, "color": 16777215}},
      "31": {"class_type": "SolidMask", "inputs": {"value": 0, "width": 35, "height": 32}},
      "32": {"class_type": "SolidMask", "inputs": {"value": 1, "width": 4, "height": 4}},
      "33": {"class_type": "MaskComposite", "inputs": {"destination": ["31", 0], "source": ["32", 0], "x": 10, "y": 10, "operation": "add"}},
      "34": {"class_type": "VAEEncodeForInpaint", "inputs": {"pixels": ["30", 0], "vae": ["4", 2], "mask": ["33", 0], "grow_mask_by": 6}},
      "3": {"class_type": "KSampler", "inputs": {"model": ["4", 0], "seed": 1, "steps": 2, "cfg": 1, "sampler_name": "euler",
      "scheduler": "normal", "positive": ["6", 0], "negative": ["7", 0], "latent_image": ["34", 0], "denoise": 1}}})");
  ASSERT_EQ(result.end, JobResult::End::kSuccess) << bench_.events.lines.back();
  EXPECT_EQ(work_.encoded.shape(), (Shape{1, 32, 32, 3}));
  EXPECT_EQ(work_.encoded.data<float>()[(10 * 32 + 9) * 3], 0.5f);  // the picture is cut by one pixel on the left
  EXPECT_EQ(work_.encoded.data<float>()[0], 1.0f);
  const Tensor& mask = work_.requests.at(0).latent.noise_mask;
  ASSERT_EQ(mask.shape(), (Shape{1, 32, 32}));
  float area = 0;
  for (int64_t i = 0; i < mask.numel(); ++i) area += mask.data<float>()[i];
  EXPECT_EQ(area, 81.0f);
}

TEST_F(PictureNodes, WithoutAnEngineTheReasonIsGiven) {
  bench_.services.pictures = nullptr;
  EXPECT_EQ(run(kSampler).end, JobResult::End::kError);
  EXPECT_EQ(bench_.events.frames.back().second.at("exception_type").as_string(), "NotImplementedError");
}

}  // namespace
}  // namespace hearth::workflow
