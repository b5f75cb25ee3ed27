// LoRA over tiny networks against the plain sum, in every program's names; what a patched model shares with its base.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

#include <fmt/format.h>

#include "models/diffusion/lora_names.h"
#include "models/load/weight_file.h"
#include "models/testing/tiny_picture.h"
#include "ops/linear/layout.h"
#include "ops/test_ctx.h"

namespace hearth {
namespace {

using testing::PictureGolden;
using testing::PictureRig;
using testing::TempFolder;
using testing::TinyPicture;

using Tensors = std::map<std::string, TinyPicture::Tensor>;

TinyPicture::Tensor noise(std::vector<int64_t> shape, unsigned seed) {
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal(0, 0.1f);
  int64_t n = 1;
  for (int64_t dim : shape) n *= dim;
  TinyPicture::Tensor out{std::move(shape), {}};
  for (int64_t i = 0; i < n; ++i) out.values.push_back(normal(engine));
  return out;
}

TinyPicture::Tensor scalar(float value) { return {{}, {value}}; }

// A weight's values with the axes of the file.
std::vector<float> values_of(const Weight& weight) {
  if (weight.shape.rank() == 1) {
    const float* data = weight.data.bitcast(DType::kF32, weight.shape).data<float>();
    return {data, data + weight.shape[0]};
  }
  Weight matrix = weight;
  const int64_t rows = weight.out(), row = weight.shape.numel() / rows;
  matrix.shape = {rows, row};
  std::vector<float> out(static_cast<size_t>(rows * row)), one(static_cast<size_t>(row));
  const int64_t in = weight.shape[-1], taps = row / in;
  for (int64_t r = 0; r < rows; ++r) {
    unpack_row(matrix, r, one.data());
    for (int64_t i = 0; i < in; ++i) {
      for (int64_t tap = 0; tap < taps; ++tap) out[r * row + i * taps + tap] = one[tap * in + i];
    }
  }
  return out;
}

// factor * up x down in double, down [rank, ...] and up [out, rank].
std::vector<double> product(const TinyPicture::Tensor& up, const TinyPicture::Tensor& down, double factor) {
  const int64_t rank = down.shape[0], out = up.shape[0], in = std::ssize(down.values) / rank;
  std::vector<double> sum(static_cast<size_t>(out * in));
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t k = 0; k < rank; ++k) {
      for (int64_t i = 0; i < in; ++i) {
        sum[o * in + i] += factor * double{up.values[o * rank + k]} * double{down.values[k * in + i]};
      }
    }
  }
  return sum;
}

void expect_sum(const Weight& got, const TinyPicture::Tensor& base, const std::vector<double>& change, double bound) {
  const std::vector<float> values = values_of(got);
  ASSERT_EQ(values.size(), base.values.size());
  ASSERT_EQ(values.size(), change.size());
  double worst = 0, moved = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    worst = std::max(worst, std::abs(values[i] - (base.values[i] + change[i])));
    moved = std::max(moved, std::abs(change[i]));
  }
  EXPECT_LT(worst, bound);
  EXPECT_GT(moved, 1e-3);
}

class LoraTest : public ::testing::Test {
 protected:
  void use(const std::string& name, DType type = DType::kF32) {
    tiny_ = std::make_unique<TinyPicture>(name);
    file_ = open_picture_file(tiny_->write_single(folder_.path(), type));
  }
  LoraFile lora(const Tensors& tensors, DType type = DType::kF32) {
    const std::string path = fmt::format("{}/lora{}.safetensors", folder_.path(), n_files_++);
    testing::write_tensors(path, tensors, type);
    return LoraFile(std::make_shared<const TensorFile>(open_weight_file(path)));
  }
  // The base model's weights, then those of a copy patched with `patch`.
  template <class Model, class Config>
  void load(const PicturePart<Config>& part, const LoraPatch& patch, std::optional<DType> scheme = {}) {
    base_rig_.load<Model>(part);
    base_ = base_rig_.weights().bound();
    patched_rig_.load<Model>(part, {.patch = &patch, .base = &base_, .patched_scheme = scheme});
    patched_ = patched_rig_.weights().bound();
  }
  const TinyPicture::Tensor& base_values(const std::string& name) const { return tiny_->tensors().at(name); }

  TempFolder folder_;
  std::unique_ptr<TinyPicture> tiny_;
  PictureFile file_;
  PictureRig base_rig_, patched_rig_;
  BoundWeights base_, patched_;
  int n_files_ = 0;
};

constexpr char kQ[] = "down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q";
constexpr char kOut[] = "up_blocks.1.attentions.1.transformer_blocks.0.attn2.to_out.0";
constexpr double kFloatBound = 1e-6;

TEST_F(LoraTest, EveryNamingMeansTheSameWeight) {
  use("sd1");
  const LoraNames names = unet_lora_names(*file_.unet);
  for (const char* name : {"lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q",
                           "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q",
                           "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.to_q",
                           "unet.down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q",
                           "down_blocks.0.attentions.0.transformer_blocks.0.attn1.processor.to_q",
                           "diffusion_model.input_blocks.1.1.transformer_blocks.0.attn1.to_q"}) {
    ASSERT_TRUE(names.count(name)) << name;
    EXPECT_EQ(names.at(name), kQ);
  }
  EXPECT_EQ(names.at("unet.up_blocks.1.attentions.1.transformer_blocks.0.attn2.processor.to_out"), kOut);
  EXPECT_EQ(names.at("lora_unet_output_blocks_3_1_transformer_blocks_0_attn2_to_out_0"), kOut);
  EXPECT_EQ(names.at("lora_unet_output_blocks_3_2_conv"), "up_blocks.1.upsamplers.0.conv");
  EXPECT_EQ(names.at("lora_unet_input_blocks_2_0_op"), "down_blocks.0.downsamplers.0.conv");

  const char* module = "text_model.encoder.layers.1.self_attn.v_proj";
  const LoraNames first = text_lora_names(file_.text_encoders[0], 0, 2),
                  second = text_lora_names(file_.text_encoders[0], 1, 2);
  EXPECT_EQ(first.at("lora_te_text_model_encoder_layers_1_self_attn_v_proj"), module);
  EXPECT_EQ(first.at("lora_te1_text_model_encoder_layers_1_self_attn_v_proj"), module);
  EXPECT_EQ(first.at("text_encoder.text_model.encoder.layers.1.self_attn.v_proj"), module);
  EXPECT_EQ(first.count("lora_te2_text_model_encoder_layers_1_self_attn_v_proj"), 0u);
  EXPECT_EQ(second.at("lora_te2_text_model_encoder_layers_1_self_attn_v_proj"), module);
  EXPECT_EQ(second.at("text_encoder_2.text_model.encoder.layers.1.self_attn.v_proj"), module);
}

TEST_F(LoraTest, EverySuffixIsAPair) {
  use("sd1");
  const std::pair<const char*, const char*> kinds[] = {{".lora_up.weight", ".lora_down.weight"},
                                                       {".lora_B.weight", ".lora_A.weight"},
                                                       {".lora.up.weight", ".lora.down.weight"},
                                                       {"_lora.up.weight", "_lora.down.weight"},
                                                       {".lora_B.default.weight", ".lora_A.default.weight"}};
  const TinyPicture::Tensor up = noise({32, 4}, 1), down = noise({4, 32}, 2);
  for (const auto& [b, a] : kinds) {
    SCOPED_TRACE(b);
    LoraPatch patch(*file_.unet->tensors);
    const LoraFile file = lora({{"unet." + std::string(kQ) + b, up}, {"unet." + std::string(kQ) + a, down}});
    EXPECT_TRUE(patch.add(file, unet_lora_names(*file_.unet), 1).empty());
    load<Unet>(*file_.unet, patch);
    expect_sum(patched_.at(kQ + std::string(".weight")), base_values("unet/" + std::string(kQ) + ".weight"),
               product(up, down, 1), kFloatBound);
  }
}

TEST_F(LoraTest, SumsFilesWithTheirStrengthsAndAlphas) {
  use("sd1");
  const std::string at = "lora_unet_input_blocks_1_1_transformer_blocks_0_attn1_to_q";
  const TinyPicture::Tensor up1 = noise({32, 4}, 1), down1 = noise({4, 32}, 2), up2 = noise({32, 7}, 3),
                            down2 = noise({7, 32}, 4);
  const LoraFile one =
      lora({{at + ".lora_up.weight", up1}, {at + ".lora_down.weight", down1}, {at + ".alpha", scalar(2)}});
  const LoraFile two = lora({{at + ".lora_up.weight", up2}, {at + ".lora_down.weight", down2}});
  const LoraNames names = unet_lora_names(*file_.unet);
  LoraPatch patch(*file_.unet->tensors);
  patch.add(one, names, 0.75), patch.add(two, names, -0.5), patch.add(one, names, 0);
  EXPECT_EQ(patch.size(), 1u);
  load<Unet>(*file_.unet, patch);
  std::vector<double> change = product(up1, down1, 0.75 * 2 / 4), more = product(up2, down2, -0.5);
  for (size_t i = 0; i < change.size(); ++i) change[i] += more[i];
  expect_sum(patched_.at(kQ + std::string(".weight")), base_values("unet/" + std::string(kQ) + ".weight"), change,
             kFloatBound);
}

TEST_F(LoraTest, ChangesConvolutions) {
  use("sd1");
  const std::string conv = "down_blocks.1.resnets.0.conv1", inner = "mid_block.resnets.0.conv2";
  const TinyPicture::Tensor up = noise({64, 4, 1, 1}, 1), down = noise({4, 32, 3, 3}, 2);
  const TinyPicture::Tensor up2 = noise({64, 3, 1, 1}, 3), mid = noise({3, 3, 3, 3}, 4),
                            down2 = noise({3, 64, 1, 1}, 5);
  // A whole difference of a 1x1 convolution that is bound as a matrix, and of a bias.
  const TinyPicture::Tensor diff = noise({32, 32, 1, 1}, 6), shift = noise({32}, 7);
  const LoraFile file = lora({{"lora_unet_down_blocks_1_resnets_0_conv1.lora_up.weight", up},
                              {"lora_unet_down_blocks_1_resnets_0_conv1.lora_down.weight", down},
                              {"lora_unet_mid_block_resnets_0_conv2.lora_up.weight", up2},
                              {"lora_unet_mid_block_resnets_0_conv2.lora_mid.weight", mid},
                              {"lora_unet_mid_block_resnets_0_conv2.lora_down.weight", down2},
                              {"lora_unet_input_blocks_1_1_proj_in.diff", diff},
                              {"lora_unet_conv_in.diff_b", shift}});
  LoraPatch patch(*file_.unet->tensors);
  EXPECT_EQ(patch.add(file, unet_lora_names(*file_.unet), 0.5), std::vector<std::string>{});
  EXPECT_EQ(patch.size(), 4u);
  load<Unet>(*file_.unet, patch);
  expect_sum(patched_.at(conv + ".weight"), base_values("unet/" + conv + ".weight"), product(up, down, 0.5),
             kFloatBound);
  // The kernels down, mid and up one after the other: the sum over n and m of up[o,m] mid[m,n,y,x] down[n,i].
  std::vector<double> change(64 * 64 * 9);
  for (int o = 0; o < 64; ++o) {
    for (int i = 0; i < 64; ++i) {
      for (int tap = 0; tap < 9; ++tap) {
        for (int m = 0; m < 3; ++m) {
          for (int n = 0; n < 3; ++n) {
            change[(o * 64 + i) * 9 + tap] += 0.5 * double{up2.values[o * 3 + m]} *
                                              double{mid.values[(m * 3 + n) * 9 + tap]} *
                                              double{down2.values[n * 64 + i]};
          }
        }
      }
    }
  }
  expect_sum(patched_.at(inner + ".weight"), base_values("unet/" + inner + ".weight"), change, kFloatBound);
  std::vector<double> half(diff.values.begin(), diff.values.end()),
      half_shift(shift.values.begin(), shift.values.end());
  for (double& v : half) v *= 0.5;
  for (double& v : half_shift) v *= 0.5;
  expect_sum(patched_.at("down_blocks.0.attentions.0.proj_in.weight"),
             base_values("unet/down_blocks.0.attentions.0.proj_in.weight"), half, kFloatBound);
  expect_sum(patched_.at("conv_in.bias"), base_values("unet/conv_in.bias"), half_shift, kFloatBound);
}

TEST_F(LoraTest, ReachesInsideFusedAndTransposedTensors) {
  use("sdxl");
  ASSERT_EQ(file_.text_encoders.size(), 2u);
  const PicturePart<ClipConfig>& g = file_.text_encoders[1];
  const std::string k = "text_model.encoder.layers.2.self_attn.k_proj";
  const TinyPicture::Tensor up = noise({192, 4}, 1), down = noise({4, 192}, 2);
  const TinyPicture::Tensor up2 = noise({160, 2}, 3), down2 = noise({2, 192}, 4);
  const LoraFile file = lora({{"lora_te2_text_model_encoder_layers_2_self_attn_k_proj.lora_up.weight", up},
                              {"lora_te2_text_model_encoder_layers_2_self_attn_k_proj.lora_down.weight", down},
                              {"lora_te2_text_projection.lora_up.weight", up2},
                              {"lora_te2_text_projection.lora_down.weight", down2}});
  LoraPatch patch(*g.tensors);
  EXPECT_TRUE(patch.add(file, text_lora_names(g, 1, 2), 1).empty());
  load<ClipText>(g, patch);
  expect_sum(patched_.at(k + ".weight"), base_values("text_encoder_2/" + k + ".weight"), product(up, down, 1),
             kFloatBound);
  expect_sum(patched_.at("text_projection.weight"), base_values("text_encoder_2/text_projection.weight"),
             product(up2, down2, 1), kFloatBound);
  EXPECT_EQ(values_of(patched_.at("text_model.encoder.layers.2.self_attn.q_proj.weight")),
            base_values("text_encoder_2/text_model.encoder.layers.2.self_attn.q_proj.weight").values);
}

TEST_F(LoraTest, RoundsOnceToTheSchemeAsked) {
  use("sd1", DType::kF16);
  const TinyPicture::Tensor up = noise({32, 4}, 1), down = noise({4, 32}, 2);
  const LoraFile file =
      lora({{"unet." + std::string(kQ) + ".lora_B.weight", up}, {"unet." + std::string(kQ) + ".lora_A.weight", down}});
  LoraPatch patch(*file_.unet->tensors);
  patch.add(file, unet_lora_names(*file_.unet), 1);
  load<Unet>(*file_.unet, patch, DType::kF32);
  const std::string name = kQ + std::string(".weight");
  EXPECT_EQ(patched_.at(name).scheme, DType::kF32);
  const std::vector<float> exact = values_of(patched_.at(name));
  load<Unet>(*file_.unet, patch);
  EXPECT_EQ(patched_.at(name).scheme, DType::kF16);
  const std::vector<float> rounded = values_of(patched_.at(name));
  for (size_t i = 0; i < exact.size(); ++i) EXPECT_EQ(rounded[i], f16_to_f32(f32_to_f16(exact[i])));
}

TEST_F(LoraTest, APrecisionIsThatOfEveryMatrixAndOfWhatAPatchMakes) {
  use("sd1");
  const LoraFile file = lora({{"unet." + std::string(kQ) + ".lora_B.weight", noise({32, 4}, 1)},
                              {"unet." + std::string(kQ) + ".lora_A.weight", noise({4, 32}, 2)}});
  LoraPatch patch(*file_.unet->tensors);
  patch.add(file, unet_lora_names(*file_.unet), 1);
  load<Unet>(*file_.unet, patch);
  const std::vector<float> wide = values_of(patched_.at(kQ + std::string(".weight")));
  patched_rig_.load<Unet>(*file_.unet, {.scheme = DType::kBF16, .patch = &patch});
  for (const auto& [name, weight] : patched_rig_.weights().bound()) {
    EXPECT_EQ(weight.scheme, weight.shape.rank() == 1 ? DType::kF32 : DType::kBF16) << name;
  }
  const std::vector<float> rounded = values_of(patched_rig_.weights().bound().at(kQ + std::string(".weight")));
  for (size_t i = 0; i < wide.size(); ++i) EXPECT_EQ(rounded[i], bf16_to_f32(f32_to_bf16(wide[i])));
}

TEST_F(LoraTest, SharesWhatItDoesNotChange) {
  use("sd1");
  const TinyPicture::Tensor up = noise({32, 4}, 1), down = noise({4, 32}, 2);
  const LoraFile file =
      lora({{"unet." + std::string(kQ) + ".lora_B.weight", up}, {"unet." + std::string(kQ) + ".lora_A.weight", down}});
  LoraPatch patch(*file_.unet->tensors);
  patch.add(file, unet_lora_names(*file_.unet), 1);
  const Unet plain = base_rig_.load<Unet>(*file_.unet);
  base_ = base_rig_.weights().bound();
  const Unet changed = patched_rig_.load<Unet>(*file_.unet, {.patch = &patch, .base = &base_});
  patched_ = patched_rig_.weights().bound();
  ASSERT_EQ(patched_.size(), base_.size());
  for (const auto& [name, weight] : base_) {
    const bool same = patched_.at(name).data.raw() == weight.data.raw();
    EXPECT_EQ(same, name != kQ + std::string(".weight")) << name;
  }
  EXPECT_EQ(patched_rig_.weights().bytes(), 32 * 32 * 4) << "one matrix";

  const PictureGolden golden = PictureGolden::read("sd1");
  Ctx c = base_rig_.ctx();
  auto run = [&](const Unet& unet) {
    const Tensor out =
        unet.forward(c, base_rig_.tensor(golden.tensors.at("unet.x")), base_rig_.tensor(golden.tensors.at("unet.t")),
                     base_rig_.tensor(golden.tensors.at("unet.context")), {});
    return std::vector<float>(out.data<float>(), out.data<float>() + out.numel());
  };
  const std::vector<float> before = run(plain), with = run(changed), after = run(plain);
  EXPECT_EQ(before, after);
  EXPECT_NE(before, with);
}

TEST_F(LoraTest, SaysWhatItCannotApply) {
  use("sd1");
  const LoraFile file = lora({{"lora_unet_mid_block_attentions_0_proj_in.lora_up.weight", noise({64, 4}, 1)},
                              {"lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", noise({4, 96}, 2)},
                              {"lora_unet_conv_out.lora_up.weight", noise({4, 4, 1, 1}, 3)},
                              {"lora_unet_no_such_block.lora_down.weight", noise({4, 8}, 4)},
                              {"lora_unet_conv_in.a1.weight", noise({4, 8}, 5)},
                              {"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_down.weight", noise({4, 128}, 6)},
                              {"lora_te_text_model_encoder_layers_0_mlp_fc1.lora_up.weight", noise({192, 4}, 7)},
                              {"something else", noise({3}, 8)}});
  const LoraNames unet = unet_lora_names(*file_.unet), text = text_lora_names(file_.text_encoders[0], 0, 1);
  LoraPatch patch(*file_.unet->tensors);
  const std::vector<std::string> misfits = patch.add(file, unet, 1);
  EXPECT_EQ(patch.size(), 0u);
  EXPECT_EQ(misfits, (std::vector<std::string>{
                         "lora_unet_conv_in: a kind of adapter that is not applied",
                         "lora_unet_conv_out: got only lora_unet_conv_out.lora_up.weight, wanted a pair of up and down",
                         "lora_unet_mid_block_attentions_0_proj_in: got up [64, 4] and down [4, 96], "
                         "wanted a product of [64, 64, 1, 1]"}));
  EXPECT_EQ(file.not_applied({&unet, &text}),
            (std::vector<std::string>{"lora_unet_no_such_block", "lora_unet_conv_in.a1.weight", "something else"}));
  EXPECT_EQ(file.not_applied({&unet}).size(), 4u) << "and the text encoder's module";
}

}  // namespace
}  // namespace hearth
