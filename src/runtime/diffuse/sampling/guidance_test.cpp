// Guidance end to end against ComfyUI's own samplers.py (tests/golden/sampling/make_guidance.py): the scenarios
// are read from the golden, the UNet is a formula that both sides have.
#include "runtime/diffuse/sampling/guidance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/device/allocator.h"
#include "formats/json/json.h"
#include "ops/random/testing/golden_file.h"
#include "runtime/diffuse/sampling/resize_mask.h"
#include "runtime/diffuse/sampling/schedule.h"

namespace hearth::diffuse {
namespace {

const GoldenFile& golden() {
  static const GoldenFile file("guidance");
  return file;
}

Tensor input(const std::string& name) {
  static RawAllocator memory({DeviceKind::kCpu, 0});  // tensors go back to it
  auto values = golden().floats("in." + name);
  auto& dims = golden().shape("in." + name);
  Shape shape = dims.size() == 2   ? Shape{dims[0], dims[1]}
                : dims.size() == 3 ? Shape{dims[0], dims[1], dims[2]}
                                   : Shape{dims[0], dims[1], dims[2], dims[3]};
  Tensor tensor = memory.tensor(DType::kF32, shape, "test").value();
  std::copy(values.begin(), values.end(), tensor.data<float>());
  return tensor;
}

/// The UNet of make_guidance.py: what it gives depends on place, timestep, text, sizes and appended channels.
class AnalyticUnet final : public NoisePredictor {
 public:
  explicit AnalyticUnet(int64_t max_rows) : max_rows_(max_rows) {}
  int64_t max_rows(int64_t, int64_t, int64_t) const override { return max_rows_; }
  void predict(const UnetCall& call, std::span<float> output) override {
    const LatentShape& s = call.shape;
    EXPECT_EQ(static_cast<int64_t>(call.rows.size()), s.batch);
    EXPECT_LE(s.batch, max_rows_);
    for (const UnetRow& row : call.rows)
      EXPECT_EQ(row.tokens * row.repeats, call.rows[0].tokens * call.rows[0].repeats) << "texts of a call are as long";
    rows_per_call.push_back(s.batch);
    int64_t at = 0;
    for (int64_t b = 0; b < s.batch; ++b)
      for (int64_t c = 0; c < s.channels; ++c)
        for (int64_t y = 0; y < s.height; ++y)
          for (int64_t x = 0; x < s.width; ++x, ++at) output[static_cast<size_t>(at)] = value(call, b, c, y, x);
  }
  std::vector<int64_t> rows_per_call;

 private:
  static double mean(std::span<const float> values) {
    double sum = 0;
    for (float value : values) sum += value;
    return sum / static_cast<double>(values.size());
  }
  static float value(const UnetCall& call, int64_t b, int64_t c, int64_t y, int64_t x) {
    constexpr double kChannels[] = {1.0, -0.5, 0.25, 2.0};
    const LatentShape& s = call.shape;
    const UnetRow& row = call.rows[static_cast<size_t>(b)];
    auto in = [&](int64_t y, int64_t x) -> double {
      return call.x[static_cast<size_t>(((b * s.channels + c) * s.height + y) * s.width + x)];
    };
    double out = 0.6 * in(y, x);
    if (x > 0) out += 0.15 * in(y, x - 1);
    if (y > 0) out -= 0.1 * in(y - 1, x);
    double tell = 0.3 * mean(row.context) + 0.0002 * call.timestep;
    if (!row.y.empty()) tell += 0.5 * mean(row.y);
    out += tell * kChannels[c];
    const int64_t extra = static_cast<int64_t>(row.concat.size()) / s.plane();
    for (int64_t k = 0; k < extra; ++k)
      out += 0.02 * static_cast<double>(k + 1) * row.concat[static_cast<size_t>(k * s.plane() + y * s.width + x)];
    return static_cast<float>(out);
  }
  int64_t max_rows_;
};

double number(const Value& spec, const char* key, double fallback) {
  const Value* found = spec.find(key);
  return found ? found->as_double() : fallback;
}
std::string text(const Value& spec, const char* key, const char* fallback) {
  const Value* found = spec.find(key);
  return found ? found->as_string() : fallback;
}

Condition condition(const Value& spec) {
  Condition c;
  auto tensor = [&](const char* key, Tensor& to) {
    if (const Value* name = spec.find(key)) to = input(name->as_string());
  };
  tensor("context", c.context);
  tensor("pooled", c.pooled);
  tensor("mask", c.mask);
  tensor("concat_mask", c.concat_mask);
  tensor("concat_latent", c.concat_latent);
  for (const char* key : {"area", "fraction"})
    if (const Value* area = spec.find(key)) {
      auto& at = area->as_list();
      c.area = Area{std::string(key) == "fraction", at[0].as_double(), at[1].as_double(), at[2].as_double(),
                    at[3].as_double()};
    }
  if (const Value* size = spec.find("size")) {
    auto& at = size->as_list();
    c.size = SizeConditioning{at[0].as_int(), at[1].as_int(), at[2].as_int(),
                              at[3].as_int(), at[4].as_int(), at[5].as_int()};
  }
  c.strength = static_cast<float>(number(spec, "strength", 1));
  c.mask_strength = static_cast<float>(number(spec, "mask_strength", 1));
  c.set_area_to_bounds = spec.find("bounds") != nullptr;
  if (spec.find("score")) c.aesthetic_score = static_cast<float>(number(spec, "score", 0));
  if (spec.find("start")) c.start_percent = number(spec, "start", 0);
  if (spec.find("end")) c.end_percent = number(spec, "end", 1);
  return c;
}

Conditioning conditions(const Value& spec, const char* key) {
  Conditioning list;
  if (const Value* given = spec.find(key))
    for (const Value& one : given->as_list()) list.push_back(condition(one));
  return list;
}

LatentFormat latents_of(const Value& spec, const char* which) {
  return text(spec, which, "eps") == "playground" ? playground_latents() : LatentFormat();
}

/// The sampling a scenario describes; `model` outlives it.
LatentSampling scenario(const Value& spec, const ModelSampling& model) {
  LatentSampling s{.model = model, .inputs = {}, .guidance = {}, .sampler = {}, .sigmas = {}, .task = {}};
  const std::string kind = text(spec, "kind", "cfg"), net = text(spec, "model", "sd1");
  s.inputs.is_inpaint = net == "inpaint";
  s.inputs.size_vector = net == "sdxl"      ? SizeVectorKind::kSdxl
                         : net == "refiner" ? SizeVectorKind::kRefiner
                                            : SizeVectorKind::kNone;
  s.guidance.kind = kind == "basic"  ? GuiderKind::kBasic
                    : kind == "cfg"  ? GuiderKind::kCfg
                    : kind == "dual" ? GuiderKind::kDualCfg
                    : kind == "dual_nested" ? GuiderKind::kDualCfgNested
                    : kind == "dual_model"  ? GuiderKind::kDualModel
                                            : GuiderKind::kPerpNeg;
  s.guidance.positive = conditions(spec, "positive");
  s.guidance.middle = conditions(spec, "middle");
  s.guidance.negative = conditions(spec, "negative");
  s.guidance.cfg = number(spec, "cfg", 1);
  s.guidance.cfg_middle = number(spec, "cfg_middle", 1);
  s.guidance.negative_scale = number(spec, "negative_scale", 1);
  if (spec.find("differential")) s.guidance.differential = static_cast<float>(number(spec, "differential", 0));
  if (spec.find("rescale")) s.guidance.rescale = static_cast<float>(number(spec, "rescale", 0));
  s.sampler.name = text(spec, "sampler", "euler");
  StepRange range{.steps = static_cast<int64_t>(number(spec, "steps", 5)), .denoise = number(spec, "denoise", 1)};
  range.end_step = static_cast<int64_t>(number(spec, "end_step", 10000));
  s.sigmas = ksampler_sigmas(s.sampler.name, "karras", model, range).value();
  s.seed = 4711;
  s.task.shape = {static_cast<int64_t>(number(spec, "batch", 1)), 4, 16, 12};
  s.task.latent = Field(s.task.shape.numel());
  if (spec.find("latent")) {
    auto latent = golden().floats("in.latent");
    std::copy_n(latent.begin(), s.task.latent.size(), s.task.latent.data());
    s.inputs.latents = latents_of(spec, "prediction");
    s.inputs.latents.to_model(s.task.latent.span(), s.task.shape);
  }
  s.task.noise = Field(batch_noise({}, s.seed, s.task.shape.batch, s.task.shape.numel() / s.task.shape.batch));
  if (const Value* mask = spec.find("noise_mask")) s.task.mask = noise_mask(input(mask->as_string()), s.task.shape);
  return s;
}

Value scenarios() {
  const Value metadata = golden().metadata();
  return json::parse(metadata.at("scenarios").as_string()).value();
}
Value spec_of(const std::string& name) { return scenarios().at(name); }

const ModelSampling& model_of(const Value& spec, const char* which = "prediction") {
  static const ModelSampling eps = discrete_sampling(Prediction::kEps), v = discrete_sampling(Prediction::kV),
                             playground = continuous_edm_sampling(Prediction::kEdm, 0.002, 80, kEdmSigmaData);
  const std::string name = text(spec, which, "eps");
  return name == "v" ? v : name == "playground" ? playground : eps;
}

/// Who sees the negative of a scenario with two models, at a guidance other than 1.
std::optional<NegativeModel> negative_model_of(const Value& spec, const LatentSampling& s, NoisePredictor& predictor) {
  if (s.guidance.kind != GuiderKind::kDualModel || is_one(s.guidance.cfg)) return std::nullopt;
  NegativeModel other{&predictor, &model_of(spec, "negative_prediction"), s.inputs, s.task.latent};
  other.inputs.latents = latents_of(spec, "negative_prediction");
  if (spec.find("latent")) {
    latents_of(spec, "prediction").to_vae(other.latent.span(), s.task.shape);
    other.inputs.latents.to_model(other.latent.span(), s.task.shape);
  }
  return other;
}

float worst(std::span<const float> got, std::span<const float> wanted) {
  EXPECT_EQ(got.size(), wanted.size());
  float worst = 0;
  for (size_t i = 0; i < std::min(got.size(), wanted.size()); ++i)
    worst = std::max(worst, std::fabs(got[i] - wanted[i]));
  return worst;
}

float largest(std::span<const float> values) {
  float most = 1;
  for (float value : values) most = std::max(most, std::fabs(value));
  return most;
}

TEST(Guidance, EveryScenarioIsComfyUIs) {
  int count = 0;
  const Value all = scenarios();
  for (const auto& [name, spec] : all.as_object()) {
    auto wanted = golden().floats("out." + name);
    const size_t half = wanted.size() / 2;
    for (int64_t max_rows : {64, 2}) {  // in shared calls, and latent by latent
      AnalyticUnet unet(max_rows), other(max_rows);
      LatentSampling s = scenario(spec, model_of(spec));
      s.guidance.negative_model = negative_model_of(spec, s, other);
      const LatentShape shape = s.task.shape;
      SampledField got = sample_latent(std::move(s), unet);
      latents_of(spec, "prediction").to_vae(got.output.span(), shape);
      EXPECT_EQ(other.rows_per_call.empty(), text(spec, "kind", "") != "dual_model" || number(spec, "cfg", 1) == 1);
      float off = worst(got.output.span(), std::span(wanted).first(half)) / largest(std::span(wanted).first(half));
      float guess_off =
          worst(got.denoised.span(), std::span(wanted).last(half)) / largest(std::span(wanted).last(half));
      EXPECT_LE(off, 1e-5f) << name << ", " << max_rows << " rows a call";
      EXPECT_LE(guess_off, 1e-5f) << name << "'s last guess, " << max_rows << " rows a call";
      if (std::getenv("HEARTH_SHOW_ERRORS")) std::printf("%-24s %.2g %.2g\n", name.c_str(), off, guess_off);
    }
    ++count;
  }
  EXPECT_GE(count, 54);
}

TEST(Guidance, BringsAConditionsPictureToTheModelsScale) {
  const Value spec = spec_of("inpaint");
  LatentSampling s = scenario(spec, model_of(spec));
  for (Conditioning* list : {&s.guidance.positive, &s.guidance.negative})
    for (Condition& c : *list)
      for (float& value : std::span(c.concat_latent.data<float>(), static_cast<size_t>(c.concat_latent.numel())))
        value *= 4;
  s.inputs.latents = {.scale = 0.25f};
  AnalyticUnet unet(64);
  SampledField got = sample_latent(std::move(s), unet);
  auto wanted = golden().floats("out.inpaint");
  const auto output = std::span(wanted).first(wanted.size() / 2);
  EXPECT_LE(worst(got.output.span(), output) / largest(output), 1e-5f);
}

std::vector<int64_t> rows_per_call(const std::string& name, int64_t max_rows) {
  AnalyticUnet unet(max_rows);
  const Value spec = spec_of(name);
  sample_latent(scenario(spec, model_of(spec)), unet);
  return unet.rows_per_call;
}

TEST(Guidance, SharesCallsWhereItCan) {
  EXPECT_EQ(rows_per_call("plain", 64), (std::vector<int64_t>{2, 2, 2, 2, 2}));
  EXPECT_EQ(rows_per_call("plain", 1), std::vector<int64_t>(10, 1));
  EXPECT_EQ(rows_per_call("cfg_1", 64), std::vector<int64_t>(5, 1)) << "at 1 the negative is not asked";
  EXPECT_EQ(rows_per_call("cfg_pp_at_1", 64), std::vector<int64_t>(5, 2)) << "but CFG++ needs it";
  EXPECT_EQ(rows_per_call("texts_that_fit", 64), std::vector<int64_t>(5, 3));
  EXPECT_EQ(rows_per_call("texts_that_do_not", 64)[0], 1);
}

TEST(Guidance, RefusesWhatDoesNotFit) {
  Value spec = spec_of("sdxl");
  LatentSampling s = scenario(spec, model_of(spec));
  s.guidance.positive[0].pooled = {};
  AnalyticUnet unet(8);
  EXPECT_THROW(sample_latent(std::move(s), unet), Error);
  spec = spec_of("area");
  LatentSampling outside = scenario(spec, model_of(spec));
  outside.guidance.positive[1].area->y = 16;
  EXPECT_THROW(sample_latent(std::move(outside), unet), Error);
}

TEST(Guidance, NoStepsGiveTheLatentBack) {
  const Value spec = spec_of("image_to_image");
  LatentSampling s = scenario(spec, model_of(spec));
  s.sigmas.clear();
  Field latent = s.task.latent;
  AnalyticUnet unet(8);
  SampledField got = sample_latent(std::move(s), unet);
  EXPECT_EQ(worst(got.output.span(), latent.span()), 0);
  EXPECT_TRUE(unet.rows_per_call.empty());
}

TEST(SpreadMember, FollowsTheReferencesHelper) {
  auto all = [](int64_t have, int64_t want) {
    std::vector<int64_t> members;
    for (int64_t i = 0; i < want; ++i) members.push_back(spread_member(i, have, want));
    return members;
  };
  EXPECT_EQ(all(5, 3), (std::vector<int64_t>{0, 2, 4}));
  EXPECT_EQ(all(2, 5), (std::vector<int64_t>{0, 0, 1, 1, 1}));
  EXPECT_EQ(all(3, 1), (std::vector<int64_t>{0}));
  EXPECT_EQ(all(4, 4), (std::vector<int64_t>{0, 1, 2, 3}));
}

}  // namespace
}  // namespace hearth::diffuse
