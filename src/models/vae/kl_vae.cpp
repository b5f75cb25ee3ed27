// Reference: CompVis/latent-diffusion, ldm/modules/diffusionmodules/model.py; huggingface/diffusers,
// models/autoencoders/vae.py.
#include "models/vae/kl_vae.h"

#include <cmath>

#include <fmt/format.h>

#include "core/base/error.h"

namespace hearth {
namespace {

constexpr float kNormEps = 1e-6f;

void want_map(const Tensor& x, int64_t channels, const char* what) {
  if (x && x.rank() == 4 && x.dtype() == DType::kF32 && x.dim(3) == channels && x.is_contiguous()) return;
  throw Error(Code::kInvalidArgument,
              fmt::format("vae: {} is {}, wanted f32 [B, h, w, {}]", what, x ? x.shape().text() : "absent", channels));
}

VaeConfig::Half half_of(const NamedTensors& t, const std::string& side, const std::string& levels) {
  VaeConfig::Half half;
  for (int i = 0; i < t.count(levels); ++i) {
    const std::string resnets = fmt::format("{}{}.resnets.", levels, i);
    half.channels.push_back(t.dim(resnets + "0.conv1.weight", 0));
    half.blocks.push_back(t.count(resnets));
  }
  if (half.channels.empty()) {
    throw Error(Code::kCorruptFile, fmt::format("{}: the VAE's {} has no resolutions", t.path(), side));
  }
  return half;
}

}  // namespace

VaeConfig VaeConfig::of(const NamedTensors& t, const Value& config) {
  VaeConfig f;
  if (const Value* groups = config.find("norm_num_groups"); groups && groups->is_integer() && groups->as_int() > 0) {
    f.groups = static_cast<int>(groups->as_int());
  }
  if (t.has("encoder.conv_in.weight")) {
    f.encoder = half_of(t, "encoder", "encoder.down_blocks.");
    f.encoder->ends = t.dim("encoder.conv_out.weight", 0);
    f.latent_channels = f.encoder->ends / 2;
    f.picture_channels = t.dim("encoder.conv_in.weight", 1);
  }
  if (t.has("decoder.conv_in.weight")) {
    f.decoder = half_of(t, "decoder", "decoder.up_blocks.");
    f.latent_channels = f.decoder->ends = t.dim("decoder.conv_in.weight", 1);
    f.picture_channels = t.dim("decoder.conv_out.weight", 0);
  }
  if (!f.encoder && !f.decoder) {
    throw Error(Code::kCorruptFile, fmt::format("{}: neither 'encoder.conv_in.weight' nor 'decoder.conv_in.weight' is "
                                                "there; a VAE has one or both",
                                                t.path()));
  }
  f.has_quant_conv = t.has("quant_conv.weight");
  f.has_post_quant_conv = t.has("post_quant_conv.weight");
  for (const std::optional<Half>* half : {&f.encoder, &f.decoder}) {
    for (int channels : *half ? (*half)->channels : std::vector<int>{}) {
      if (channels % f.groups == 0) continue;
      throw Error(Code::kUnsupported,
                  fmt::format("{}: {} channels of the VAE do not make {} groups; say how many there "
                              "are in config.json's norm_num_groups",
                              t.path(), channels, f.groups));
    }
  }
  return f;
}

int VaeConfig::shrink() const {
  const Half& half = decoder ? *decoder : *encoder;
  return 1 << (half.channels.size() - 1);
}

Tensor KlVae::Attention::forward(Ctx& c, const Tensor& x) const {
  const int64_t batch = x.dim(0), pixels = x.dim(1) * x.dim(2), channels = x.dim(3);
  auto heads = [&](const Tensor& t) { return t.reshape({batch, pixels, 1, channels}); };
  auto [qh, kh, vh] = project(c, as_rows(norm(c, x)), q, k, v);      // [B*H*W, C] each
  const float scale = 1 / std::sqrt(static_cast<float>(channels));
  Tensor y = full_attention(c, heads(qh), heads(kh), heads(vh), {.scale = scale});
  qh = kh = vh = Tensor();
  y = over_last(c, o, y).reshape(x.shape());
  add_into(c, x, y);
  return y;
}

Tensor KlVae::Middle::forward(Ctx& c, const Tensor& x) const {
  Tensor h = first.forward(c, x, {});
  c.cut();
  h = attention.forward(c, h);
  c.cut();
  h = second.forward(c, h, {});
  c.cut();
  return h;
}

KlVae::Middle KlVae::bind_middle(Weights& w, const std::string& name, int64_t channels, int groups) {
  const std::string attention = name + ".attentions.0.";
  return {.first = bind_res_block(w, name + ".resnets.0", channels, channels, 0, groups, kNormEps),
          .attention = {.norm = bind_group_norm(w, attention + "group_norm", channels, groups, kNormEps),
                        .q = bind_linear(w, attention + "to_q", channels, channels),
                        .k = bind_linear(w, attention + "to_k", channels, channels),
                        .v = bind_linear(w, attention + "to_v", channels, channels),
                        .o = bind_linear(w, attention + "to_out.0", channels, channels)},
          .second = bind_res_block(w, name + ".resnets.1", channels, channels, 0, groups, kNormEps)};
}

KlVae::Half KlVae::bind_encoder(Weights& w, const VaeConfig& f) {
  const VaeConfig::Half& e = *f.encoder;
  Half half;
  int64_t channels = e.channels.front();
  half.in = bind_conv(w, "encoder.conv_in", f.picture_channels, channels, 3);
  for (size_t i = 0; i < e.channels.size(); ++i) {
    const std::string block = fmt::format("encoder.down_blocks.{}", i);
    Level& level = half.levels.emplace_back();
    for (int j = 0; j < e.blocks[i]; ++j) {
      level.blocks.push_back(
          bind_res_block(w, fmt::format("{}.resnets.{}", block, j), channels, e.channels[i], 0, f.groups, kNormEps));
      channels = e.channels[i];
    }
    if (i + 1 == e.channels.size()) continue;
    level.resize = bind_conv(w, block + ".downsamplers.0.conv", channels, channels, 3, /*stride=*/2);
    level.resize->params.top = level.resize->params.left = 0;  // one row and column of zeros, below and to the right
  }
  half.middle = bind_middle(w, "encoder.mid_block", channels, f.groups);
  half.norm_out = bind_group_norm(w, "encoder.conv_norm_out", channels, f.groups, kNormEps);
  half.out = bind_conv(w, "encoder.conv_out", channels, e.ends, 3);
  return half;
}

KlVae::Half KlVae::bind_decoder(Weights& w, const VaeConfig& f) {
  const VaeConfig::Half& d = *f.decoder;
  Half half;
  int64_t channels = d.channels.front();
  half.in = bind_conv(w, "decoder.conv_in", d.ends, channels, 3);
  half.middle = bind_middle(w, "decoder.mid_block", channels, f.groups);
  for (size_t i = 0; i < d.channels.size(); ++i) {
    const std::string block = fmt::format("decoder.up_blocks.{}", i);
    Level& level = half.levels.emplace_back();
    for (int j = 0; j < d.blocks[i]; ++j) {
      level.blocks.push_back(
          bind_res_block(w, fmt::format("{}.resnets.{}", block, j), channels, d.channels[i], 0, f.groups, kNormEps));
      channels = d.channels[i];
    }
    if (i + 1 == d.channels.size()) continue;
    level.resize = bind_conv(w, block + ".upsamplers.0.conv", channels, channels, 3);
    level.resize->params.upsample = 2;
  }
  half.norm_out = bind_group_norm(w, "decoder.conv_norm_out", channels, f.groups, kNormEps);
  half.out = bind_conv(w, "decoder.conv_out", channels, f.picture_channels, 3);
  return half;
}

KlVae KlVae::bind(Weights& w, const VaeConfig& f) {
  KlVae m;
  m.config_ = f;
  if (f.encoder) m.encoder_ = bind_encoder(w, f);
  if (f.encoder && f.has_quant_conv) m.quant_ = bind_conv(w, "quant_conv", f.encoder->ends, f.encoder->ends, 1);
  if (f.decoder && f.has_post_quant_conv) {
    m.post_quant_ = bind_conv(w, "post_quant_conv", f.latent_channels, f.latent_channels, 1);
  }
  if (f.decoder) m.decoder_ = bind_decoder(w, f);
  return m;
}

Tensor KlVae::decode(Ctx& c, const Tensor& z) const {
  if (!decoder_) throw Error(Code::kUnsupported, "vae: the file holds no decoder");
  want_map(z, config_.latent_channels, "the latent");
  Tensor x = decoder_->in(c, post_quant_ ? (*post_quant_)(c, z) : z);   // [B, h, w, C]
  c.probe("decoder.conv_in", -1, x);
  x = decoder_->middle.forward(c, x);
  c.probe("decoder.mid", -1, x);
  for (size_t i = 0; i < decoder_->levels.size(); ++i) {
    for (const ResBlock& block : decoder_->levels[i].blocks) {
      x = block.forward(c, x, {});
      c.cut();
    }
    if (decoder_->levels[i].resize) x = (*decoder_->levels[i].resize)(c, x);  // [B, 2h, 2w, C]
    c.probe("decoder.up", static_cast<int>(i), x);
    c.cut();
  }
  return decoder_->out(c, decoder_->norm_out.with_silu(c, x));
}

Tensor KlVae::encode(Ctx& c, const Tensor& image) const {
  if (!encoder_) throw Error(Code::kUnsupported, "vae: the file holds no encoder");
  want_map(image, config_.picture_channels, "the picture");
  Tensor x = encoder_->in(c, image);                                    // [B, H, W, C]
  c.probe("encoder.conv_in", -1, x);
  for (size_t i = 0; i < encoder_->levels.size(); ++i) {
    for (const ResBlock& block : encoder_->levels[i].blocks) {
      x = block.forward(c, x, {});
      c.cut();
    }
    if (encoder_->levels[i].resize) x = (*encoder_->levels[i].resize)(c, x);  // [B, H/2, W/2, C]
    c.probe("encoder.down", static_cast<int>(i), x);
    c.cut();
  }
  x = encoder_->middle.forward(c, x);
  c.probe("encoder.mid", -1, x);
  x = encoder_->out(c, encoder_->norm_out.with_silu(c, x));             // [B, H/8, W/8, 2 latent]
  return quant_ ? (*quant_)(c, x) : x;
}

}  // namespace hearth
