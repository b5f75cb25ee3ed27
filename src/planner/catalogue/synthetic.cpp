#include "planner/catalogue/synthetic.h"

#include <fmt/format.h>

namespace hearth::planner {
namespace {

// A network's tensors under bind code's names.
class Table {
 public:
  explicit Table(DType scheme) : scheme_(scheme) {}

  void matrix(const std::string& name, int64_t out, int64_t in, bool has_bias = true) {
    add(name + ".weight", {out, in}, scheme_);
    if (has_bias) vector(name + ".bias", out);
  }
  void conv(const std::string& name, int64_t out, int64_t in, int64_t kernel) {
    add(name + ".weight", {out, in, kernel, kernel}, scheme_);
    vector(name + ".bias", out);
  }
  void norm(const std::string& name, int64_t n) {
    vector(name + ".weight", n);
    vector(name + ".bias", n);
  }
  void vector(const std::string& name, int64_t n) { add(name, {n}, scheme_); }

  std::shared_ptr<const NamedTensors> done(const std::string& path) {
    file_->paths = {path};
    seal(*file_);
    auto named = std::make_shared<NamedTensors>(file_);
    for (const TensorInfo& tensor : file_->tensors) named->add(tensor.name, {&tensor});
    return named;
  }

 private:
  void add(const std::string& name, std::vector<int64_t> shape, DType type) {
    const int64_t bytes = *tensor_bytes(type, shape);
    file_->tensors.push_back({.name = name, .type = type, .shape = std::move(shape), .offset = next_, .bytes = bytes});
    next_ += bytes;
  }

  DType scheme_;
  int64_t next_ = 0;
  std::shared_ptr<TensorFile> file_ = std::make_shared<TensorFile>();
};

void add_res_block(Table& t, const std::string& name, int64_t in, int64_t out, int64_t time_dim) {
  t.norm(name + ".norm1", in);
  t.conv(name + ".conv1", out, in, 3);
  if (time_dim > 0) t.matrix(name + ".time_emb_proj", out, time_dim);
  t.norm(name + ".norm2", out);
  t.conv(name + ".conv2", out, out, 3);
  if (in != out) t.conv(name + ".conv_shortcut", out, in, 1);
}

void add_transformer(Table& t, const std::string& name, int64_t dim, int64_t context_dim, int depth) {
  t.norm(name + ".norm", dim);
  t.matrix(name + ".proj_in", dim, dim);
  t.matrix(name + ".proj_out", dim, dim);
  for (int i = 0; i < depth; ++i) {
    const std::string block = fmt::format("{}.transformer_blocks.{}", name, i);
    for (int k = 1; k <= 3; ++k) t.norm(fmt::format("{}.norm{}", block, k), dim);
    for (const char* attention : {".attn1", ".attn2"}) {
      const int64_t from = attention == std::string_view(".attn1") ? dim : context_dim;
      t.matrix(block + attention + ".to_q", dim, dim, false);
      t.matrix(block + attention + ".to_k", dim, from, false);
      t.matrix(block + attention + ".to_v", dim, from, false);
      t.matrix(block + attention + ".to_out.0", dim, dim);
    }
    t.matrix(block + ".ff.net.0.proj", 8 * dim, dim);
    t.matrix(block + ".ff.net.2", dim, 4 * dim);
  }
}

void add_stage(Table& t, const UnetConfig& f, const std::string& block, size_t i, int64_t in, int64_t out, int depth) {
  add_res_block(t, fmt::format("{}.resnets.{}", block, i), in, out, f.time_dim);
  if (depth > 0) add_transformer(t, fmt::format("{}.attentions.{}", block, i), out, f.context_dim, depth);
}

PicturePart<UnetConfig> synthetic_unet(const UnetConfig& f, DType scheme) {
  Table t(scheme);
  t.matrix("time_embedding.linear_1", f.time_dim, f.channels);
  t.matrix("time_embedding.linear_2", f.time_dim, f.time_dim);
  if (f.adm_dim > 0) {
    t.matrix("add_embedding.linear_1", f.time_dim, f.adm_dim);
    t.matrix("add_embedding.linear_2", f.time_dim, f.time_dim);
  }
  t.conv("conv_in", f.channels, f.in_channels, 3);
  int64_t channels = f.channels;
  std::vector<int64_t> skips = {channels};
  for (size_t i = 0; i < f.down.size(); ++i) {
    const std::string block = fmt::format("down_blocks.{}", i);
    for (size_t j = 0; j < f.down[i].depth.size(); ++j) {
      add_stage(t, f, block, j, channels, f.down[i].channels, f.down[i].depth[j]);
      channels = f.down[i].channels;
      skips.push_back(channels);
    }
    if (i + 1 == f.down.size()) continue;
    t.conv(block + ".downsamplers.0.conv", channels, channels, 3);
    skips.push_back(channels);
  }
  add_stage(t, f, "mid_block", 0, channels, channels, f.middle_depth);
  add_res_block(t, "mid_block.resnets.1", channels, channels, f.time_dim);
  for (size_t i = 0; i < f.up.size(); ++i) {
    const std::string block = fmt::format("up_blocks.{}", i);
    for (size_t j = 0; j < f.up[i].depth.size(); ++j) {
      add_stage(t, f, block, j, channels + skips.back(), f.up[i].channels, f.up[i].depth[j]);
      channels = f.up[i].channels;
      skips.pop_back();
    }
    if (i + 1 < f.up.size()) t.conv(block + ".upsamplers.0.conv", channels, channels, 3);
  }
  t.norm("conv_norm_out", channels);
  t.conv("conv_out", f.out_channels, channels, 3);
  return {t.done("unet"), f};
}

// As the configurations of the published models have them.
UnetConfig unet_config(const std::string& family) {
  auto level = [](int channels, int heads, std::vector<int> depth) {
    return UnetConfig::Level{channels, heads, std::move(depth)};
  };
  UnetConfig f;
  if (family == "sd1") {
    f.context_dim = 768;
    f.down = {level(320, 8, {1, 1}), level(640, 8, {1, 1}), level(1280, 8, {1, 1}), level(1280, 8, {0, 0})};
    f.up = {level(1280, 8, {0, 0, 0}), level(1280, 8, {1, 1, 1}), level(640, 8, {1, 1, 1}), level(320, 8, {1, 1, 1})};
    f.middle_depth = 1;
    f.middle_heads = 8;
    f.has_conv_projections = true;
  } else if (family == "sdxl") {
    f.context_dim = 2048;
    f.adm_dim = 2816;
    f.down = {level(320, 5, {0, 0}), level(640, 10, {2, 2}), level(1280, 20, {10, 10})};
    f.up = {level(1280, 20, {10, 10, 10}), level(640, 10, {2, 2, 2}), level(320, 5, {0, 0, 0})};
    f.middle_depth = 10;
    f.middle_heads = 20;
  } else {
    f.channels = 384;
    f.time_dim = 1536;
    f.context_dim = 1280;
    f.adm_dim = 2560;
    f.down = {level(384, 6, {0, 0}), level(768, 12, {4, 4}), level(1536, 24, {4, 4}), level(1536, 24, {0, 0})};
    f.up = {level(1536, 24, {0, 0, 0}), level(1536, 24, {4, 4, 4}), level(768, 12, {4, 4, 4}),
            level(384, 6, {0, 0, 0})};
    f.middle_depth = 4;
    f.middle_heads = 24;
  }
  return f;
}

void add_vae_middle(Table& t, const std::string& name, int64_t channels) {
  add_res_block(t, name + ".resnets.0", channels, channels, 0);
  t.norm(name + ".attentions.0.group_norm", channels);
  for (const char* matrix : {"to_q", "to_k", "to_v", "to_out.0"}) {
    t.matrix(fmt::format("{}.attentions.0.{}", name, matrix), channels, channels);
  }
  add_res_block(t, name + ".resnets.1", channels, channels, 0);
}

}  // namespace

PicturePart<VaeConfig> synthetic_vae(int latent_channels, DType scheme) {
  VaeConfig f;
  f.latent_channels = latent_channels;
  f.has_quant_conv = f.has_post_quant_conv = latent_channels == 4;
  f.encoder = {.channels = {128, 256, 512, 512}, .blocks = {2, 2, 2, 2}, .ends = 2 * latent_channels};
  f.decoder = {.channels = {512, 512, 256, 128}, .blocks = {3, 3, 3, 3}, .ends = latent_channels};
  Table t(scheme);
  auto blocks = [&](const char* side, const VaeConfig::Half& half, const char* way, const char* resize) {
    int64_t channels = half.channels.front();
    for (size_t i = 0; i < half.channels.size(); ++i) {
      const std::string block = fmt::format("{}.{}_blocks.{}", side, way, i);
      for (int j = 0; j < half.blocks[i]; ++j) {
        add_res_block(t, fmt::format("{}.resnets.{}", block, j), channels, half.channels[i], 0);
        channels = half.channels[i];
      }
      if (i + 1 < half.channels.size()) t.conv(fmt::format("{}.{}.0.conv", block, resize), channels, channels, 3);
    }
  };
  t.conv("encoder.conv_in", 128, 3, 3);
  blocks("encoder", *f.encoder, "down", "downsamplers");
  add_vae_middle(t, "encoder.mid_block", 512);
  t.norm("encoder.conv_norm_out", 512);
  t.conv("encoder.conv_out", 2 * latent_channels, 512, 3);
  if (f.has_quant_conv) {
    t.conv("quant_conv", 2 * latent_channels, 2 * latent_channels, 1);
    t.conv("post_quant_conv", latent_channels, latent_channels, 1);
  }
  t.conv("decoder.conv_in", 512, latent_channels, 3);
  add_vae_middle(t, "decoder.mid_block", 512);
  blocks("decoder", *f.decoder, "up", "upsamplers");
  t.norm("decoder.conv_norm_out", 128);
  t.conv("decoder.conv_out", 3, 128, 3);
  return {t.done("vae"), f};
}

PicturePart<ClipConfig> synthetic_clip(bool is_g, DType scheme) {
  ClipConfig f;
  if (is_g) {
    f.dim = 1280, f.layers = 32, f.heads = 20, f.ffn = 5120, f.projection = 1280;
    f.activation = ClipConfig::Activation::kGelu;
  }
  Table t(scheme);
  t.matrix("text_model.embeddings.token_embedding", f.vocab, f.dim, false);
  t.vector("text_model.embeddings.position_embedding.weight", int64_t{f.positions} * f.dim);
  for (int i = 0; i < f.layers; ++i) {
    const std::string at = fmt::format("text_model.encoder.layers.{}.", i);
    t.norm(at + "layer_norm1", f.dim);
    t.norm(at + "layer_norm2", f.dim);
    for (const char* matrix : {"q_proj", "k_proj", "v_proj", "out_proj"}) {
      t.matrix(at + "self_attn." + matrix, f.dim, f.dim);
    }
    t.matrix(at + "mlp.fc1", f.ffn, f.dim);
    t.matrix(at + "mlp.fc2", f.dim, f.ffn);
  }
  t.norm("text_model.final_layer_norm", f.dim);
  if (f.projection > 0) t.matrix("text_projection", f.projection, f.dim, false);
  return {t.done("text encoder"), f};
}

PictureFile synthetic_picture(const std::string& family, DType scheme) {
  PictureFile file;
  file.path = family;
  file.family = family == "sd1"    ? PictureFamily::kSd1
                : family == "sdxl" ? PictureFamily::kSdxl
                                   : PictureFamily::kSdxlRefiner;
  file.unet = synthetic_unet(unet_config(family), scheme);
  if (family != "sdxl_refiner") file.text_encoders.push_back(synthetic_clip(false, scheme));
  if (family != "sd1") file.text_encoders.push_back(synthetic_clip(true, scheme));
  file.vae = synthetic_vae(4, scheme);
  return file;
}

Checkpoint synthetic_checkpoint(const std::string& name, const LmShape& f, const Quant& quant) {
  Checkpoint out;
  out.path = name;
  out.format = Checkpoint::Format::kGguf;
  const std::string& arch = f.architecture;
  Value& config = out.config;
  config.set("general.architecture", arch);
  auto set = [&](const char* key, int64_t value) { config.set(fmt::format("{}.{}", arch, key), value); };
  set("embedding_length", f.dim);
  set("block_count", f.layers);
  set("attention.head_count", f.heads);
  set("attention.head_count_kv", f.kv_heads);
  set("attention.key_length", f.head_dim);
  set("feed_forward_length", f.ffn);
  set("context_length", f.context);
  set("vocab_size", f.vocab);
  if (f.window > 0) set("attention.sliding_window", f.window);
  if (f.window_pattern > 0) set("attention.sliding_window_pattern", f.window_pattern);
  out.file.paths = {name};
  int64_t next = 0;
  for (const TensorNeed& need : tensors_of(f)) {
    const DType type = quant.scheme(need, f.layers);
    const int64_t bytes = *tensor_bytes(type, need.shape);
    out.file.tensors.push_back({.name = need.name, .type = type, .shape = need.shape, .offset = next, .bytes = bytes});
    next += bytes;
  }
  seal(out.file);
  return out;
}

}  // namespace hearth::planner
