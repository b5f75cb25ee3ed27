// The engine over tiny random checkpoints: one seed gives one picture whatever else is in memory, batches hold their
// members, LoRAs change and leave, masks keep what they should, tiles agree with the whole, and cancelled or refused work
// leaves nothing behind.
#include "runtime/diffuse/picture_engine.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/testing/temp_folder.h"
#include "models/testing/tiny_picture.h"
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
    SampleRequest r{.guider = {.model = pipe.model, .positive = words(pipe, "a red apple"), .negative = words(pipe, ""), .cfg = 5},
                    .sampler = {.name = "euler"}, .noise = {.seed = seed}};
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
  EXPECT_EQ(engine_.encode_text(pipe.clip, {"short", text}, {}).context.dim(1), 77 * 3) << "the shorter one is filled up";
}

TEST_F(PictureEngineTest, AMaskKeepsWhatIsOutsideOfIt) {
  const Pipe pipe = open("sd1");
  SampleRequest r = request(pipe, 7, 1, 16, 4);
  for (int64_t i = 0; i < r.latent.samples.numel(); ++i) r.latent.samples.data<float>()[i] = std::sin(0.1f * static_cast<float>(i));
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
  const std::vector<float> tiled = values(engine_.decode(pipe.vae, latent, {.tile = 64, .overlap = 16},
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

}  // namespace
}  // namespace hearth::diffuse
