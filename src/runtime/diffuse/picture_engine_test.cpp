// The engine over tiny random checkpoints: one seed gives one picture whatever else is in memory, batches hold their
// members, LoRAs change and leave, masks keep what they should, tiles agree with the whole, and cancelled or refused
// work leaves nothing behind.
#include "runtime/diffuse/picture_engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "core/testing/temp_folder.h"
#include "models/load/weight_file.h"
#include "models/testing/tiny_picture.h"
#include "runtime/diffuse/model_files.h"
#include "runtime/diffuse/sampling/schedule.h"

namespace hearth::diffuse {
namespace {

// Checkpoints of this process, written once.
const std::string& checkpoint(const std::string& name) {
  static std::map<std::string, std::string> written;
  std::string& path = written[name];
  if (!path.empty()) return path;
  static testing::TempFolder folder;
  testing::TinyPicture tiny(name);
  tiny.take_prompts();
  return path = tiny.write_single(folder.path(name));
}

class PictureEngineTest : public ::testing::Test {
 protected:
  explicit PictureEngineTest(int64_t budget_bytes = int64_t{1} << 30) : budget_("cpu", budget_bytes) {}

  struct Pipe {
    Model model;
    TextEncoder clip;
    Vae vae;
  };
  Pipe open(const std::string& name) {
    CheckpointParts parts = engine_.load_checkpoint(checkpoint(name), {});
    return {*parts.model, *parts.clip, *parts.vae};
  }
  Conditioning words(const Pipe& pipe, const std::string& text) {
    return {engine_.encode_text(pipe.clip, {text, text}, {})};
  }
  Tensor zeros(Shape shape) { return memory_.tensor(DType::kF32, shape, "test").value(); }
  SampleRequest request(const Pipe& pipe, uint64_t seed, int64_t batch = 1, int64_t side = 8, int64_t steps = 3) {
    SampleRequest r{
        .guider = {.model = pipe.model, .positive = words(pipe, "a red apple"), .negative = words(pipe, ""), .cfg = 5},
        .sampler = {.name = "euler"},
        .noise = {.seed = seed}};
    r.sigmas = ksampler_sigmas("euler", "normal", engine_.sampling_of(pipe.model), {.steps = steps}).value();
    r.latent.samples = zeros({batch, 4, side, side});
    return r;
  }
  Tensor run(const SampleRequest& r) { return engine_.sample(r, {}).output.samples; }
  static std::vector<float> values(const Tensor& t) { return {t.data<float>(), t.data<float>() + t.numel()}; }

  governor::Budget budget_;
  governor::LeasedAllocator memory_{budget_, {DeviceKind::kCpu}};
  Executor executor_{{DeviceKind::kCpu}, cpu_caps(2), 2};
  PictureEngine engine_{executor_, memory_};
};

TEST_F(PictureEngineTest, OneSeedGivesOneLatentAndAnotherSeedAnother) {
  for (const char* name : {"sd1", "sdxl"}) {
    const Pipe pipe = open(name);
    const std::vector<float> first = values(run(request(pipe, 7)));
    engine_.free_unused();
    EXPECT_EQ(values(run(request(pipe, 7))), first) << name << ": weights that came back are the same weights";
    EXPECT_NE(values(run(request(pipe, 8))), first) << name;
    for (float v : first) ASSERT_TRUE(std::isfinite(v));
  }
}

TEST_F(PictureEngineTest, ABatchIsOneDrawOfNoiseAndItsMembersCanBeRepeated) {
  const Pipe pipe = open("sd1");
  const std::vector<float> batch = values(run(request(pipe, 7, 3)));
  SampleRequest last = request(pipe, 7, 1);
  last.latent.batch_index = {2};
  const std::vector<float> member = values(run(last));
  // 4 x 8 x 8 values are a multiple of 16, so drawing members one by one gives the numbers of one draw.
  EXPECT_EQ(member, std::vector<float>(batch.end() - std::ssize(member), batch.end()));
}

TEST_F(PictureEngineTest, WordsAndTheirWeightsMatter) {
  const Pipe pipe = open("sdxl");
  const Condition plain = engine_.encode_text(pipe.clip, {"a red apple", "a red apple"}, {});
  const Condition weighted = engine_.encode_text(pipe.clip, {"a (red:1.5) apple", "a (red:1.5) apple"}, {});
  EXPECT_EQ(plain.context.dim(1), 77);
  EXPECT_NE(values(plain.context), values(weighted.context));
  EXPECT_EQ(values(plain.pooled), values(weighted.pooled)) << "the pooled vector knows no weights";
  std::string text;
  for (int i = 0; i < 100; ++i) text += "apple tree ";
  EXPECT_EQ(engine_.encode_text(pipe.clip, {text, text}, {}).context.dim(1), 77 * 3);
  EXPECT_EQ(engine_.encode_text(pipe.clip, {"short", text}, {}).context.dim(1), 77 * 3)
      << "the shorter one is filled up";
}

TEST_F(PictureEngineTest, AMaskKeepsWhatIsOutsideOfIt) {
  const Pipe pipe = open("sd1");
  SampleRequest r = request(pipe, 7, 1, 16, 4);
  for (int64_t i = 0; i < r.latent.samples.numel(); ++i)
    r.latent.samples.data<float>()[i] = std::sin(0.1f * static_cast<float>(i));
  r.latent.noise_mask = zeros({1, 16, 16});
  for (int64_t y = 0; y < 16; ++y) {
    for (int64_t x = 8; x < 16; ++x) r.latent.noise_mask.data<float>()[y * 16 + x] = 1;
  }
  const std::vector<float> before = values(r.latent.samples), after = values(run(r));
  double kept = 0, drawn = 0;
  for (size_t i = 0; i < before.size(); ++i) (i % 16 < 8 ? kept : drawn) += std::abs(after[i] - before[i]);
  EXPECT_LT(kept / 512, 1e-4);
  EXPECT_GT(drawn / 512, 0.1);
}

TEST_F(PictureEngineTest, TilesAgreeWithTheWholeAndSlicesAreTheBatch) {
  const Pipe pipe = open("sd1");
  Tensor latent = zeros({2, 4, 24, 40});
  for (int64_t i = 0; i < latent.numel(); ++i) latent.data<float>()[i] = std::sin(0.37f * static_cast<float>(i % 511));
  const std::vector<float> sliced = values(engine_.decode(pipe.vae, latent, {.slicing = true}, {}));
  EXPECT_EQ(values(engine_.decode(pipe.vae, latent, {.slicing = false}, {})), sliced);
  int64_t told = 0, total = 0;
  const std::vector<float> tiled =
      values(engine_.decode(pipe.vae, latent, {.tile = 64, .overlap = 16},
                            {.progress = [&](int64_t done, int64_t of) { told = done, total = of; }}));
  EXPECT_EQ(told, total);
  EXPECT_GT(total, 2);
  double error = 0;
  for (size_t i = 0; i < tiled.size(); ++i) error += std::pow(tiled[i] - sliced[i], 2);
  EXPECT_LT(std::sqrt(error / static_cast<double>(tiled.size())), 0.05);
  for (float v : tiled) ASSERT_TRUE(v >= 0 && v <= 1);
}

TEST_F(PictureEngineTest, EncodingAPictureKeepsItsMiddle) {
  const Pipe pipe = open("sd1");
  Tensor picture = zeros({1, 67, 90, 3});
  const int64_t shrink = 90 / engine_.encode(pipe.vae, picture, {}, {}).dim(3);
  EXPECT_EQ(engine_.encode(pipe.vae, picture, {}, {}).shape(), (Shape{1, 4, 67 / shrink, 90 / shrink}));
  EXPECT_THROW(engine_.encode(pipe.vae, zeros({1, 1, 1, 3}), {}, {}), Error);
}

TEST_F(PictureEngineTest, CancelledWorkStopsAndLeavesNothing) {
  const Pipe pipe = open("sdxl");
  SampleRequest r = request(pipe, 7, 1, 16, 20);
  int64_t steps = 0;
  Watch watch{.is_cancelled = [&] { return steps >= 2; }, .progress = [&](int64_t done, int64_t) { steps = done; }};
  try {
    engine_.sample(r, watch);
    FAIL() << "it was cancelled";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kCancelled);
  }
  EXPECT_LE(steps, 3);
  r = {};
  engine_.free_unused();
  EXPECT_EQ(budget_.leased_bytes(), 0);
}

TEST_F(PictureEngineTest, WorkThatIsEndedForWantOfMemorySaysSo) {
  EXPECT_FALSE(engine_.abort(Error(Code::kNoMemory, "memory is short"))) << "nothing runs";
  const Pipe pipe = open("sd1");
  int64_t steps = 0;
  bool was_ended = false;
  Watch watch{.is_cancelled =
                  [&] {
                    if (steps == 2 && !was_ended) {
                      EXPECT_GT(engine_.running_bytes(), 0);
                      was_ended = engine_.abort(Error(Code::kNoMemory, "memory is short"));
                    }
                    return false;
                  },
              .progress = [&](int64_t done, int64_t) { steps = done; }};
  try {
    engine_.sample(request(pipe, 7, 1, 16, 20), watch);
    FAIL() << "it was ended";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kNoMemory);
    EXPECT_EQ(e.message(), "memory is short");
  }
  EXPECT_LE(steps, 3);
  EXPECT_EQ(engine_.running_bytes(), 0);
  EXPECT_NO_THROW(engine_.sample(request(pipe, 7), {})) << "the next one runs";
}

TEST_F(PictureEngineTest, WhatPicturesHoldIsTheSameInAStepAndBetweenSteps) {
  const Pipe pipe = open("sd1");
  std::set<int64_t> in_steps, between;
  const Watch watch{.is_cancelled =
                        [&] {
                          if (engine_.running_bytes() > 0) in_steps.insert(engine_.held_bytes());
                          return false;
                        },
                    .progress = [&](int64_t, int64_t) { between.insert(engine_.held_bytes()); }};
  engine_.sample(request(pipe, 7), {});
  const int64_t before = engine_.held_bytes();
  engine_.sample(request(pipe, 7), watch);
  EXPECT_EQ(in_steps, std::set<int64_t>{before});
  EXPECT_EQ(between, std::set<int64_t>{before});
  engine_.free_unused();
  EXPECT_EQ(engine_.held_bytes(), 0);
}

TEST_F(PictureEngineTest, WrongShapesAreRefusedInWords) {
  const Pipe pipe = open("sd1");
  SampleRequest r = request(pipe, 7);
  r.latent.samples = zeros({1, 16, 8, 8});
  try {
    engine_.sample(r, {});
    FAIL() << "16 channels";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kInvalidArgument);
    EXPECT_NE(e.message().find("[batch, 4,"), std::string::npos) << e.message();
  }
  r = request(open("sdxl"), 7);
  r.guider.positive = words(pipe, "of another model");
  EXPECT_THROW(engine_.sample(r, {}), Error);
  EXPECT_THROW(engine_.load_vae("/nowhere.safetensors", {}), Error);
}

TEST_F(PictureEngineTest, PrecisionIsHowWeightsLieInMemory) {
  Pipe pipe = open("sd1");  // a float32 file
  const std::vector<float> as_in_file = values(run(request(pipe, 7)));
  engine_.free_unused();
  auto with = [&](Precision precision, int64_t& leased) {
    Pipe other = pipe;
    other.model.compute.precision = other.clip.compute.precision = precision;
    const SampleRequest r = request(other, 7);
    const std::vector<float> latent = values(run(r));
    leased = budget_.leased_bytes();
    engine_.free_unused();
    return latent;
  };
  int64_t wide = 0, half = 0, brain = 0;
  EXPECT_EQ(with(Precision::kF32, wide), as_in_file);
  // The weights of this checkpoint are short numbers: 16 bits hold them whole.
  EXPECT_EQ(with(Precision::kF16, half), as_in_file);
  EXPECT_EQ(with(Precision::kBf16, brain), as_in_file);
  EXPECT_LT(half, wide * 3 / 4);
  EXPECT_EQ(half, brain);
}

TEST_F(PictureEngineTest, ExactAttentionIsTheSamePictureByOtherMeans) {
  Pipe pipe = open("sdxl");
  const std::vector<float> tiled = values(run(request(pipe, 7)));
  pipe.model.compute.attention = AttentionKind::kExact;
  const std::vector<float> exact = values(run(request(pipe, 7)));
  EXPECT_NE(tiled, exact);
  double error = 0, size = 0;
  for (size_t i = 0; i < tiled.size(); ++i) {
    error += std::pow(tiled[i] - exact[i], 2);
    size += std::pow(exact[i], 2);
  }
  EXPECT_LT(std::sqrt(error / size), 1e-4);
}

TEST_F(PictureEngineTest, AModelsOwnOptionsGoBeforeTheDefaults) {
  PictureEngine exact(executor_, memory_, {}, {.attention = AttentionKind::kExact});
  SampleRequest r = request(open("sd1"), 7);
  const std::vector<float> by_default = values(exact.sample(r, {}).output.samples), tiled = values(run(r));
  EXPECT_NE(by_default, tiled);
  r.guider.model.compute.attention = AttentionKind::kTiled;
  EXPECT_EQ(values(exact.sample(r, {}).output.samples), tiled);
}

TEST_F(PictureEngineTest, TheSameModelTwiceGuidesAsOneDoes) {
  const Pipe pipe = open("sd1");
  SampleRequest r = request(pipe, 7);
  const std::vector<float> one = values(run(r));
  r.guider.kind = Guider::Kind::kDualModel;
  r.guider.negative_model = pipe.model;
  const std::vector<float> two = values(run(r));
  for (size_t i = 0; i < one.size(); ++i) ASSERT_NEAR(two[i], one[i], 2e-4) << "rows of one call, or of two";

  r.guider.negative_model->prediction = Prediction::kV;
  EXPECT_NE(values(run(r)), two) << "what the other model's numbers mean counts";
  r.guider.cfg = 1;
  SampleRequest basic = request(pipe, 7);
  basic.guider.kind = Guider::Kind::kBasic;
  EXPECT_EQ(values(run(r)), values(run(basic))) << "at 1 the other model is not asked";
}

TEST_F(PictureEngineTest, BothModelsAreLeasedWhileTheyGuide) {
  const std::string copy = checkpoint("sd1") + ".copy.safetensors";
  std::filesystem::copy_file(checkpoint("sd1"), copy, std::filesystem::copy_options::overwrite_existing);
  SampleRequest r = request(open("sd1"), 7);
  auto held = [&] {  // while it samples, with all that is idle gone
    int64_t most = 0;
    engine_.sample(r, {.progress = [&](int64_t, int64_t) {
      engine_.free_unused();
      most = std::max(most, budget_.leased_bytes());
    }});
    return most;
  };
  const int64_t alone = held();
  r.guider.kind = Guider::Kind::kDualModel;
  r.guider.negative_model = engine_.load_diffusion_model(copy, {});
  const int64_t both = held();
  EXPECT_GT(both, alone + alone / 4) << "the second one beside the first";
  r.guider.cfg = 1;
  EXPECT_EQ(held(), alone) << "at 1 it is not even loaded";

  r.guider.cfg = 5;
  engine_.free_unused();
  StorageRef hog = memory_.allocate_untouched((int64_t{1} << 30) - (alone + both) / 2, "hog").value();
  try {
    run(r);
    FAIL() << "one fits, two do not";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kNoMemory) << e.message();
  }
  r.guider.cfg = 1;
  EXPECT_NO_THROW(run(r));
  hog = {};
  r.guider.cfg = 5;
  r.guider.negative_model = open("sdxl").model;
  EXPECT_THROW(run(r), Error) << "its prompts are of another family";
  r = {};
  engine_.free_unused();
  EXPECT_EQ(budget_.leased_bytes(), 0);
}

TEST_F(PictureEngineTest, PlaygroundsLatentsHaveAMeanAndADeviation) {
  const Pipe pipe = open("sdxl");
  Model playground = pipe.model;
  playground.has_playground_latents = true;
  playground.prediction = Prediction::kEdm;
  playground.continuous = ContinuousLevels{.sigma_min = 0.002, .sigma_max = 80, .sigma_data = 0.5};
  Latent latent;
  latent.samples = zeros({1, 4, 8, 8});
  // A blank latent stands for no picture: noise of level 2 is all there is, and comes out as the VAE has it.
  const std::vector<float> noise = values(engine_.add_noise(playground, {.seed = 3}, 2, latent).samples);
  const std::vector<float> plain = values(engine_.add_noise(pipe.model, {.seed = 3}, 2, latent).samples);
  const LatentFormat format = playground_latents();
  for (size_t i = 0; i < noise.size(); ++i) {
    const size_t c = i / 64;
    ASSERT_NEAR(noise[i], plain[i] * 0.13025f * format.deviation[c] / 0.5f + format.mean[c], 1e-4);
  }
  // Any other latent comes back as it went in when nothing is added.
  for (float& v : std::span(latent.samples.data<float>(), 256)) v = 1.5f;
  const Latent same = engine_.add_noise(playground, {.is_off = true}, 2, latent);
  for (float v : values(same.samples)) ASSERT_NEAR(v, 1.5f, 1e-5);
  SampleRequest r = request(pipe, 7);
  r.guider.model = playground;
  r.sigmas = ksampler_sigmas("euler", "karras", engine_.sampling_of(playground), {.steps = 3}).value();
  for (float v : values(run(r))) ASSERT_TRUE(std::isfinite(v));
}

class TightPictureEngineTest : public PictureEngineTest {
 protected:
  TightPictureEngineTest() : PictureEngineTest(int64_t{100} << 20) {}
};

TEST_F(TightPictureEngineTest, PartsGiveWayToEachOther) {
  // Weights of both checkpoints together do not fit.
  const Pipe a = open("sd1"), b = open("sdxl");
  const std::vector<float> first = values(run(request(a, 7)));
  run(request(b, 7));
  EXPECT_EQ(values(run(request(a, 7))), first);
  EXPECT_LE(budget_.leased_bytes(), int64_t{100} << 20);
}

TEST_F(TightPictureEngineTest, WhatDoesNotFitAtOnceIsDecodedOneByOneOrInPieces) {
  Pipe pipe = open("sd1");
  auto latent_of = [&](int64_t batch, int64_t side) {
    Tensor latent = zeros({batch, 4, side, side});
    for (int64_t i = 0; i < latent.numel(); ++i) {
      latent.data<float>()[i] = std::sin(0.37f * static_cast<float>(i % 511));
    }
    return latent;
  };
  const Tensor several = latent_of(6, 40);
  const std::vector<float> sliced = values(engine_.decode(pipe.vae, several, {}, {}));
  pipe.vae.compute.vae_slicing = false;
  EXPECT_EQ(values(engine_.decode(pipe.vae, several, {}, {})), sliced);  // together where they fit
  pipe.vae.compute.vae_tiling = Tiling::kOff;
  Tensor large;
  bool fits = true;
  for (int64_t side = 64; fits && side <= 1024; side *= 2) {
    engine_.free_unused();
    large = latent_of(1, side);
    try {
      engine_.decode(pipe.vae, large, {}, {});
    } catch (const Error& e) {
      ASSERT_EQ(e.code(), Code::kNoMemory);
      fits = false;
    }
  }
  ASSERT_FALSE(fits) << "some whole picture is too large";
  pipe.vae.compute.vae_tiling = Tiling::kAuto;
  pipe.vae.compute.vae_tile = 256;
  const std::vector<float> in_pieces = values(engine_.decode(pipe.vae, large, {}, {}));
  pipe.vae.compute.vae_tiling = Tiling::kOn;
  EXPECT_EQ(values(engine_.decode(pipe.vae, large, {}, {})), in_pieces);
}

TEST_F(PictureEngineTest, PreviewsByATinyDecoderAreOfTheFirstMemberInTheDenoisersScale) {
  const Pipe pipe = open("sd1");
  const Vae tiny = engine_.load_vae(checkpoint("taesd"), {});
  EXPECT_EQ(engine_.preview_decoder(pipe.model), "taesd_decoder");
  EXPECT_EQ(engine_.preview_decoder(open("sdxl").model), "taesdxl_decoder");
  const Tensor denoised = run(request(pipe, 3, 2));  // any latents
  Tensor first = zeros({1, 4, 8, 8});
  const float scale = 0.18215f;  // of SD1
  for (int64_t i = 0; i < first.numel(); ++i) first.data<float>()[i] = denoised.data<float>()[i] / scale;
  const Tensor preview = engine_.decode_preview(pipe.model, tiny, denoised, {});
  ASSERT_EQ(preview.shape(), (Shape{1, 32, 32, 3})) << "this small one enlarges by 4";
  EXPECT_EQ(values(preview), values(engine_.decode(tiny, first, {}, {})));
  EXPECT_THROW(engine_.decode_preview(pipe.model, tiny, denoised, {.is_cancelled = [] { return true; }}), Error);
}

TEST_F(PictureEngineTest, AFileMaySayWhatColoursItsLatentsHave) {
  const Pipe pipe = open("sd1");
  Tensor latent = zeros({2, 4, 3, 2});
  for (int64_t i = 0; i < latent.numel(); ++i) latent.data<float>()[i] = 0.1f * static_cast<float>(i % 7) - 0.3f;
  auto preview_of = [&](const char* said) {
    TensorFile file = open_weight_file(checkpoint("sd1"));
    file.metadata.set("hearth.latent_rgb", said);
    Model model{.base = std::make_shared<DiffusionFile>(std::make_shared<PictureFile>(inspect_picture_file(file)))};
    return values(engine_.preview(model, latent));
  };
  const std::vector<float> usual = values(engine_.preview(pipe.model, latent));
  const std::vector<float> own = preview_of("[[1,0,0],[0,1,0],[0,0,1],[0,0,0],[0.25,0,-0.25]]");
  ASSERT_EQ(own.size(), 18u);
  EXPECT_NE(own, usual);
  for (size_t p = 0; p < 6; ++p) {
    for (size_t c = 0; c < 3; ++c) {
      const float bias = c == 0 ? 0.25f : c == 2 ? -0.25f : 0;
      EXPECT_FLOAT_EQ(own[p * 3 + c], (latent.data<float>()[c * 6 + p] + bias + 1) / 2);
    }
  }
  for (const char* wrong : {"", "blue", "[[1,0,0]]", "[[1,0,0],[0,1,0],[0,0,1],[0,0,0],[0,0]]",
                            "[[1,0,0],[0,1,0],[0,0,1],[0,0,0],[0,0,\"red\"]]"}) {
    EXPECT_EQ(preview_of(wrong), usual) << wrong;
  }
}

TEST_F(PictureEngineTest, AddedNoiseIsThatOfASamplingAtItsLevel) {
  const Pipe pipe = open("sd1");
  SampleRequest r = request(pipe, 5, 2);
  const Latent noised = engine_.add_noise(pipe.model, {.seed = 5}, 2.0f, r.latent);
  const Latent twice = engine_.add_noise(pipe.model, {.seed = 5}, 4.0f, r.latent);
  const std::vector<float> one = values(noised.samples), two = values(twice.samples);
  double squares = 0;
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_FLOAT_EQ(two[i], 2 * one[i]) << "an empty latent gets noise only";
    squares += static_cast<double>(one[i]) * one[i];
  }
  EXPECT_NEAR(std::sqrt(squares / static_cast<double>(one.size())), 2 / 0.18215, 1) << "in the scale of the VAE";
  EXPECT_EQ(values(engine_.add_noise(pipe.model, {.is_off = true}, 4.0f, r.latent).samples), values(r.latent.samples));
}

TEST_F(PictureEngineTest, ContinuousLevelsReplaceTheTable) {
  Model model = open("sd1").model;
  model.prediction = Prediction::kEdm;
  model.continuous = ContinuousLevels{.sigma_min = 0.01, .sigma_max = 80, .sigma_data = 0.5};
  const ModelSampling edm = engine_.sampling_of(model);
  EXPECT_FLOAT_EQ(edm.sigma_max(), 80);
  EXPECT_FLOAT_EQ(edm.timestep(1), 0) << "a quarter of the logarithm";
  model.prediction = Prediction::kV;
  model.continuous = ContinuousLevels{.is_angle = true, .sigma_min = 0.03, .sigma_max = 500};
  EXPECT_FLOAT_EQ(engine_.sampling_of(model).timestep(1), 0.5f) << "an eighth of a turn";
}

}  // namespace
}  // namespace hearth::diffuse
