// What is found in files: the full-size models of every family by their headers alone, bare parts, and files that are
// broken or made to mislead.
#include "models/diffusion/detect.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

#include "models/diffusion/unet.h"
#include "models/testing/tiny_picture.h"
#include "ops/test_ctx.h"

namespace hearth {
namespace {

using testing::PictureRig;
using testing::TempFolder;
using testing::TinyPicture;

// "a.{0-2}.{q,k}" -> a.0.q, a.0.k, a.1.q, ...
std::vector<std::string> expanded(const std::string& name) {
  const size_t open = name.find('{'), close = name.find('}');
  if (open == name.npos) return {name};
  const std::string inside = name.substr(open + 1, close - open - 1);
  std::vector<std::string> each;
  if (size_t dash = inside.find('-'); dash != inside.npos) {
    for (int i = std::stoi(inside); i <= std::stoi(inside.substr(dash + 1)); ++i) each.push_back(std::to_string(i));
  } else {
    std::stringstream list(inside);
    for (std::string item; std::getline(list, item, ',');) each.push_back(item);
  }
  std::vector<std::string> out;
  for (const std::string& item : each) {
    for (std::string& rest : expanded(name.substr(0, open) + item + name.substr(close + 1)))
      out.push_back(std::move(rest));
  }
  return out;
}

void add_tensor(TensorFile& file, const std::string& name, std::vector<int64_t> shape, DType type = DType::kF16) {
  const int64_t offset = file.tensors.empty() ? 0 : file.tensors.back().offset + file.tensors.back().bytes;
  TensorInfo tensor{name, type, std::move(shape), 0, offset, 0};
  tensor.bytes = *tensor_bytes(type, tensor.shape);
  file.tensors.push_back(std::move(tensor));
}

// The header of a full-size checkpoint; `keep` says which tensors, and under which name ("" leaves one out).
template <class Keep>
TensorFile header(const std::string& family, Keep keep) {
  std::ifstream in(testing::picture_golden_path(family + ".shapes.txt"));
  TensorFile file;
  file.paths = {family + ".safetensors"};
  for (std::string line; std::getline(in, line);) {
    std::stringstream fields(line);
    std::string pattern;
    fields >> pattern;
    std::vector<int64_t> shape;
    for (int64_t dim; fields >> dim;) shape.push_back(dim);
    for (const std::string& name : expanded(pattern)) {
      if (std::string kept = keep(name); !kept.empty()) add_tensor(file, kept, shape);
    }
  }
  seal(file);
  return file;
}

TensorFile header(const std::string& family) {
  return header(family, [](const std::string& name) { return name; });
}

template <class Config>
int64_t parameters(const PicturePart<Config>& part) {
  int64_t n = 0;
  for (const auto& [name, at] : part.tensors->table()) n += at.elements();
  return n;
}

// Binds everything a file has; the sizes of what Meta says.
template <class Model, class Config>
int64_t bound_bytes(const PicturePart<Config>& part) {
  Weights sizing(*part.tensors, cpu_caps(1));
  Model::bind(sizing, part.config);
  EXPECT_EQ(sizing.bound().size(), part.tensors->table().size()) << "some tensors have no place in the model";
  return sizing.bytes();
}

TEST(Detect, SdxlBase) {
  const PictureFile file = inspect_picture_file(header("sdxl"));
  EXPECT_EQ(file.family, PictureFamily::kSdxl);
  EXPECT_EQ(file.prediction, PicturePrediction::kEps);
  EXPECT_EQ(file.layout, PictureLayout::kOriginal);
  EXPECT_FLOAT_EQ(file.latent_scale, 0.13025f);
  EXPECT_EQ(file.pooled_dim, 1280);
  EXPECT_EQ(file.size_ids, 6);
  EXPECT_EQ(file.size_dim, 256);
  const UnetConfig& unet = file.unet->config;
  EXPECT_EQ(unet.channels, 320);
  EXPECT_EQ(unet.context_dim, 2048);
  EXPECT_EQ(unet.adm_dim, 2816);
  EXPECT_EQ(unet.middle_depth, 10);
  EXPECT_EQ(unet.middle_heads, 20);
  ASSERT_EQ(unet.down.size(), 3u);
  EXPECT_EQ(unet.down[0].depth, (std::vector<int>{0, 0}));
  EXPECT_EQ(unet.down[1].depth, (std::vector<int>{2, 2}));
  EXPECT_EQ(unet.down[1].heads, 10);
  EXPECT_EQ(unet.up[0].depth, (std::vector<int>{10, 10, 10}));
  EXPECT_EQ(unet.up[0].heads, 20);
  EXPECT_FALSE(unet.has_conv_projections);
  EXPECT_EQ(parameters(*file.unet), 2567463684);
  EXPECT_GE(bound_bytes<Unet>(*file.unet), 2 * 2567463684);

  ASSERT_EQ(file.text_encoders.size(), 2u);
  const ClipConfig &l = file.text_encoders[0].config, &g = file.text_encoders[1].config;
  EXPECT_EQ(l.dim, 768);
  EXPECT_EQ(l.layers, 12);
  EXPECT_EQ(l.heads, 12);
  EXPECT_EQ(l.projection, 0);
  EXPECT_EQ(l.activation, ClipConfig::Activation::kQuickGelu);
  EXPECT_EQ(g.dim, 1280);
  EXPECT_EQ(g.layers, 32);
  EXPECT_EQ(g.heads, 20);
  EXPECT_EQ(g.projection, 1280);
  EXPECT_EQ(g.activation, ClipConfig::Activation::kGelu);
  EXPECT_EQ(parameters(file.text_encoders[0]), 123060480);
  EXPECT_EQ(parameters(file.text_encoders[1]), 694659840);
  bound_bytes<ClipText>(file.text_encoders[0]), bound_bytes<ClipText>(file.text_encoders[1]);

  EXPECT_EQ(file.vae->config.latent_channels, 4);
  EXPECT_EQ(file.vae->config.shrink(), 8);
  EXPECT_EQ(parameters(*file.vae), 83653863);
  bound_bytes<KlVae>(*file.vae);
  EXPECT_EQ(file.describe(), "sdxl unet, 2 text encoders, vae");
}

TEST(Detect, SdxlWithAttentionAtItsFirstResolution) {
  TensorFile whole = header("sdxl");
  const std::vector<TensorInfo> known = whole.tensors;
  const std::string from = "model.diffusion_model.input_blocks.4.1.";
  for (const char* to : {"input_blocks.1", "input_blocks.2", "output_blocks.6", "output_blocks.7", "output_blocks.8"}) {
    for (const TensorInfo& tensor : known) {
      if (!tensor.name.starts_with(from)) continue;
      std::vector<int64_t> shape = tensor.shape;
      for (int64_t& dim : shape) dim = dim % 640 == 0 ? dim / 2 : dim;
      add_tensor(whole, fmt::format("model.diffusion_model.{}.1.{}", to, tensor.name.substr(from.size())), shape);
    }
  }
  seal(whole);
  const PictureFile file = inspect_picture_file(whole);
  EXPECT_EQ(file.unet->config.down[0].depth, (std::vector<int>{2, 2}));
  EXPECT_EQ(file.family, PictureFamily::kSdxl);
  EXPECT_FLOAT_EQ(file.latent_scale, 0.13025f);
  EXPECT_EQ(file.prediction, PicturePrediction::kEps);
  EXPECT_EQ(file.size_dim, 256);
}

TEST(Detect, SdxlRefiner) {
  const PictureFile file = inspect_picture_file(header("sdxl_refiner"));
  EXPECT_EQ(file.family, PictureFamily::kSdxlRefiner);
  EXPECT_EQ(file.pooled_dim, 1280);
  EXPECT_EQ(file.size_ids, 5);
  EXPECT_EQ(file.size_dim, 256);
  EXPECT_EQ(file.unet->config.channels, 384);
  EXPECT_EQ(file.unet->config.context_dim, 1280);
  EXPECT_EQ(file.unet->config.middle_heads, 24);
  EXPECT_EQ(file.unet->config.up[3].depth, (std::vector<int>{0, 0, 0}));
  ASSERT_EQ(file.text_encoders.size(), 1u);
  EXPECT_EQ(file.text_encoders[0].config.activation, ClipConfig::Activation::kGelu);
  bound_bytes<Unet>(*file.unet);
}

TEST(Detect, Sd1) {
  const PictureFile file = inspect_picture_file(header("sd1"));
  EXPECT_EQ(file.family, PictureFamily::kSd1);
  EXPECT_FLOAT_EQ(file.latent_scale, 0.18215f);
  EXPECT_FALSE(file.is_inpaint());
  EXPECT_EQ(parameters(*file.unet), 859520964);
  EXPECT_TRUE(file.unet->config.has_conv_projections);
  for (const UnetConfig::Level& level : file.unet->config.down) EXPECT_EQ(level.heads, level.depth[0] > 0 ? 8 : 1);
  EXPECT_EQ(file.unet->config.middle_heads, 8);
  bound_bytes<Unet>(*file.unet);
}

TEST(Detect, InpaintingUnetsByTheirChannels) {
  TensorFile file = header("sd1");
  for (TensorInfo& tensor : file.tensors) {
    if (tensor.name == "model.diffusion_model.input_blocks.0.0.weight") tensor.shape = {320, 9, 3, 3};
  }
  const PictureFile found = inspect_picture_file(file);
  EXPECT_EQ(found.family, PictureFamily::kSd1);
  EXPECT_TRUE(found.is_inpaint());
}

TEST(Detect, MarkersOfWhatIsPredicted) {
  TensorFile file = header("sdxl");
  add_tensor(file, "v_pred", {0});
  seal(file);
  EXPECT_EQ(inspect_picture_file(file).prediction, PicturePrediction::kV);
  EXPECT_FALSE(inspect_picture_file(file).has_zero_terminal_snr);
  add_tensor(file, "ztsnr", {0});
  seal(file);
  EXPECT_TRUE(inspect_picture_file(file).has_zero_terminal_snr);
  EXPECT_FALSE(inspect_picture_file(file).edm);
  add_tensor(file, "edm_vpred.sigma_max", {1});
  seal(file);
  ASSERT_TRUE(inspect_picture_file(file).edm);
  EXPECT_FALSE(inspect_picture_file(file).edm->is_playground);
  add_tensor(file, "edm_mean", {1, 4, 1, 1});
  add_tensor(file, "edm_std", {1, 4, 1, 1});
  seal(file);
  EXPECT_TRUE(inspect_picture_file(file).edm->is_playground);
  EXPECT_FLOAT_EQ(inspect_picture_file(file).edm->sigma_max, 80);
}

void expect_says(const std::string& message, const std::vector<std::string>& parts) {
  for (const std::string& part : parts) {
    EXPECT_NE(message.find(part), std::string::npos) << "'" << part << "' is not in: " << message;
  }
}

TEST(Detect, AModelThatEditsByWordsIsRefusedWhenItsHeaderIsRead) {
  TensorFile file = header("sdxl");
  add_tensor(file, "edm_vpred.sigma_max", {1});
  for (TensorInfo& tensor : file.tensors) {
    if (tensor.name == "model.diffusion_model.input_blocks.0.0.weight") tensor.shape[1] = 8;
  }
  seal(file);
  expect_says(error_of([&] { inspect_picture_file(file); }), {"8 channels", "CosXL Edit", "Use one of 4"});
}

std::string without(const std::string& name, const std::string& prefix) {
  return name.compare(0, prefix.size(), prefix) == 0 ? name.substr(prefix.size()) : "";
}

TEST(Detect, BareNetworks) {
  const auto part = [](const std::string& prefix, const std::string& into = "") {
    return inspect_picture_file(header("sdxl", [&](const std::string& name) {
      std::string rest = without(name, prefix);
      return rest.empty() ? rest : into + rest;
    }));
  };
  EXPECT_EQ(part("model.diffusion_model.").describe(), "sdxl unet");
  EXPECT_EQ(part("model.diffusion_model.").size_dim, 256) << "without a text encoder to ask";
  EXPECT_EQ(part("model.diffusion_model.", "diffusion_model.").describe(), "sdxl unet");
  EXPECT_EQ(part("first_stage_model.").describe(), "vae");
  EXPECT_EQ(part("conditioner.embedders.0.transformer.").describe(), "1 text encoder");
  EXPECT_EQ(part("conditioner.embedders.1.model.").describe(), "1 text encoder");
  EXPECT_EQ(part("conditioner.embedders.1.model.").text_encoders[0].config.heads, 20);
  // Before newer versions of transformers wrapped the text model, files left its name out.
  EXPECT_EQ(part("conditioner.embedders.0.transformer.text_model.", "cond_stage_model.transformer.").describe(),
            "1 text encoder");
  EXPECT_EQ(part("no such prefix").describe(), "nothing this build knows");
}

TEST(Detect, AdaptersAndEmbeddings) {
  TensorFile lora;
  lora.paths = {"x.safetensors"};
  add_tensor(lora, "lora_unet_mid_block_attentions_0_proj_in.lora_down.weight", {4, 8});
  seal(lora);
  EXPECT_EQ(inspect_picture_file(lora).describe(), "LoRA");
  TensorFile words;
  words.paths = {"x.safetensors"};
  add_tensor(words, "emb_params", {3, 768});
  seal(words);
  EXPECT_EQ(inspect_picture_file(words).describe(), "embedding");
}

TEST(Detect, FoldersSayMoreThanShapes) {
  TempFolder folder;
  const std::string root = TinyPicture("sdxl").write_diffusers(folder.path());
  std::filesystem::create_directories(root + "/scheduler");
  std::ofstream(root + "/scheduler/scheduler_config.json")
      << R"({"prediction_type": "v_prediction", "rescale_betas_zero_snr": true})";
  const PictureFile file = open_picture_file(root);
  EXPECT_EQ(file.family, PictureFamily::kSdxl);
  EXPECT_EQ(file.layout, PictureLayout::kDiffusers);
  EXPECT_EQ(file.prediction, PicturePrediction::kV);
  EXPECT_TRUE(file.has_zero_terminal_snr);
  EXPECT_EQ(file.size_dim, 8);
  EXPECT_EQ(file.describe(), "sdxl unet, 2 text encoders, vae");
  EXPECT_EQ(open_picture_file(root + "/vae").describe(), "vae");
}

TEST(Detect, HeadCountsThatNobodySays) {
  TensorFile file = header("sd1");
  EXPECT_EQ(inspect_picture_file(file).unet->config.down[1].heads, 8);
  file.metadata.set("unet.attention_head_dim", "[5, 10, 20, 20]");
  EXPECT_EQ(inspect_picture_file(file).unet->config.down[1].heads, 10);
  EXPECT_EQ(inspect_picture_file(file).unet->config.middle_heads, 20);
  file.metadata.set("unet.attention_head_dim", "7");
  EXPECT_NE(error_of([&] { inspect_picture_file(file); }).find("320 channels do not make 7 heads"), std::string::npos);
  file.metadata.set("unet.attention_head_dim", "[5,");
  EXPECT_NE(error_of([&] { inspect_picture_file(file); }).find("wanted a number or a list"), std::string::npos);
}

template <class Model, class Part>
std::string bind_error(const Part& part) {
  return error_of([&] {
    Weights sizing(*part.tensors, cpu_caps(1));
    Model::bind(sizing, part.config);
  });
}

TEST(Detect, NamesAMissingTensorAsTheFileWould) {
  auto lacking = [](const std::string& tensor) {
    return inspect_picture_file(header("sdxl", [&](const std::string& name) { return name == tensor ? "" : name; }));
  };
  const std::string res = "model.diffusion_model.output_blocks.2.0.out_layers.3.weight";
  expect_says(bind_error<Unet>(*lacking(res).unet), {"tensor '" + res + "' is missing", "sdxl.safetensors"});
  const std::string vae = "first_stage_model.decoder.mid.attn_1.q.weight";
  expect_says(bind_error<KlVae>(*lacking(vae).vae), {"is missing", "decoder.mid_block.attentions.0.to_q.weight"});
}

TEST(Detect, NamesATensorOfTheWrongShape) {
  auto reshaped = [](const std::string& tensor, std::vector<int64_t> shape) {
    TensorFile file = header("sdxl");
    for (TensorInfo& t : file.tensors) {
      if (t.name == tensor) t.shape = shape;
    }
    return inspect_picture_file(file);
  };
  const std::string proj = "model.diffusion_model.middle_block.1.transformer_blocks.3.ff.net.0.proj.weight";
  expect_says(bind_error<Unet>(*reshaped(proj, {5120, 2560}).unet), {proj, "[5120, 2560]", "[10240, 1280]"});
  const std::string conv = "model.diffusion_model.input_blocks.4.0.in_layers.2.weight";
  expect_says(bind_error<Unet>(*reshaped(conv, {640, 320, 9}).unet), {conv, "[640, 320, 9]", "[640, 320, 3, 3]"});
  const std::string fused = "conditioner.embedders.1.model.transformer.resblocks.5.attn.in_proj_weight";
  expect_says(error_of([&] { reshaped(fused, {3841, 1280}); }), {fused, "three projections"});
  const std::string first = "model.diffusion_model.input_blocks.0.0.weight";
  expect_says(error_of([&] { reshaped(first, {0, 4, 3, 3}); }), {first, "[0, 4, 3, 3]"});
  expect_says(error_of([&] { reshaped(first, {320}); }), {first, "[320]"});
}

TEST(Detect, NoFileMakesItCrash) {
  // Every tensor in turn missing, empty, flat or one too long: an Error or a model, never anything else.
  const TensorFile whole = header("sdxl");
  for (size_t i = 0; i < whole.tensors.size(); i += 41) {
    for (int change = 0; change < 4; ++change) {
      TensorFile file = whole;
      TensorInfo& tensor = file.tensors[i];
      if (change == 0) file.tensors.erase(file.tensors.begin() + static_cast<int64_t>(i));
      if (change == 1) tensor.shape.back() = 0;
      if (change == 2) tensor.shape = {tensor.elements()};
      if (change == 3) tensor.shape[0] += 1;
      file.by_name.clear();
      seal(file);
      try {
        const PictureFile found = inspect_picture_file(file);
        if (found.unet) bind_error<Unet>(*found.unet);
        for (const auto& clip : found.text_encoders) bind_error<ClipText>(clip);
        if (found.vae) bind_error<KlVae>(*found.vae);
      } catch (const Error& e) {
        EXPECT_TRUE(e.code() == Code::kCorruptFile || e.code() == Code::kUnsupported) << e.message();
      }
    }
  }
}

TEST(UnetNames, GoBothWaysForEveryTensor) {
  for (const char* family : {"sdxl", "sdxl_refiner", "sd1"}) {
    const PictureFile file = inspect_picture_file(header(family));
    const UnetNames names(file.unet->config.skeleton());
    const std::string prefix = "model.diffusion_model.";
    for (const auto& [diffusers, at] : file.unet->tensors->table()) {
      EXPECT_EQ(prefix + names.to_original(diffusers), at.tensor->name);
      EXPECT_EQ(names.to_diffusers(names.to_original(diffusers)), diffusers);
    }
  }
  const UnetNames names({{1}, {2}, {false}});
  EXPECT_EQ(names.to_diffusers("input_blocks.1.0.in_layers.1.weight"), "") << "a SiLU has no weights";
  EXPECT_EQ(names.to_diffusers("input_blocks.9.0.in_layers.0.weight"), "");
  EXPECT_EQ(names.to_original("nothing"), "");
}

}  // namespace
}  // namespace hearth
