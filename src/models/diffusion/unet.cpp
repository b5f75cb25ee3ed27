// Residual blocks and transformers at several resolutions, down and up again, with skips between the two ways. The step
// enters every residual block, the text every transformer. Reference: Stability-AI/generative-models,
// sgm/modules/diffusionmodules/openaimodel.py; huggingface/diffusers, models/unets/unet_2d_condition.py.
#include "models/diffusion/unet.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "ops/index/concat.h"
#include "ops/pointwise/timestep_embedding.h"
#include "ops/resize/upsample.h"

namespace hearth {
namespace {

constexpr float kNormEps = 1e-5f;

void want(const Tensor& t, const Shape& shape, const char* what) {
  if (!t && shape.numel() == 0) return;
  if (t && t.dtype() == DType::kF32 && t.is_contiguous() && t.shape() == shape) return;
  throw Error(Code::kInvalidArgument,
              fmt::format("unet: {} is {}, wanted f32 {}", what, t ? t.shape().text() : "absent", shape.text()));
}

// `conv` of x with its size doubled, or doubled less the last row or column where the way down began with an odd size.
Tensor upsampled(Ctx& c, const Conv& conv, const Tensor& x, int64_t height, int64_t width) {
  if (height == 2 * x.dim(1) && width == 2 * x.dim(2)) return conv(c, x);
  ConvParams params = conv.params;
  params.upsample = 1;
  return conv2d(c, cropped(c, upsample_nearest2(c, x), height, width), conv.weight, conv.bias, params);
}

}  // namespace

Tensor Unet::Stage::forward(Ctx& c, const Tensor& x, const Tensor& emb, const Tensor& context) const {
  Tensor h = res.forward(c, x, emb);
  if (attention) h = attention->forward(c, h, context);
  c.cut();
  return h;
}

Unet::Stage Unet::bind_stage(Weights& w, const std::string& block, int i, int64_t in, const UnetConfig::Level& level,
                             const UnetConfig& f) {
  Stage stage{
      bind_res_block(w, fmt::format("{}.resnets.{}", block, i), in, level.channels, f.time_dim, f.groups, kNormEps),
      {}};
  if (level.depth[i] > 0) {
    stage.attention = bind_spatial_transformer(w, fmt::format("{}.attentions.{}", block, i), level.channels,
                                               f.context_dim, level.depth[i], level.heads, f.groups);
  }
  return stage;
}

void Unet::bind_down(Weights& w) {
  int64_t channels = config_.channels;
  for (size_t i = 0; i < config_.down.size(); ++i) {
    const UnetConfig::Level& f = config_.down[i];
    const std::string block = fmt::format("down_blocks.{}", i);
    Level& level = down_.emplace_back();
    for (size_t j = 0; j < f.depth.size(); ++j) {
      level.stages.push_back(bind_stage(w, block, static_cast<int>(j), channels, f, config_));
      channels = f.channels;
    }
    if (i + 1 < config_.down.size()) {
      level.resize = bind_conv(w, block + ".downsamplers.0.conv", channels, channels, 3, /*stride=*/2);
    }
  }
}

void Unet::bind_up(Weights& w) {
  std::vector<int64_t> skips = {config_.channels};  // channels of every map the way down keeps
  for (size_t i = 0; i < config_.down.size(); ++i) {
    skips.insert(skips.end(), config_.down[i].depth.size() + (i + 1 < config_.down.size()), config_.down[i].channels);
  }
  int64_t channels = config_.down.back().channels;
  for (size_t i = 0; i < config_.up.size(); ++i) {
    const UnetConfig::Level& f = config_.up[i];
    const std::string block = fmt::format("up_blocks.{}", i);
    Level& level = up_.emplace_back();
    for (size_t j = 0; j < f.depth.size(); ++j) {
      if (skips.empty()) {
        throw Error(Code::kCorruptFile, fmt::format("unet: more residual blocks up than down, from {} on", block));
      }
      level.stages.push_back(bind_stage(w, block, static_cast<int>(j), channels + skips.back(), f, config_));
      channels = f.channels;
      skips.pop_back();
    }
    if (i + 1 < config_.up.size()) {
      level.resize = bind_conv(w, block + ".upsamplers.0.conv", channels, channels, 3);
      level.resize->params.upsample = 2;
    }
  }
  if (!skips.empty()) {
    throw Error(Code::kCorruptFile, fmt::format("unet: {} residual blocks fewer up than down", skips.size()));
  }
}

Unet Unet::bind(Weights& w, const UnetConfig& f) {
  Unet m;
  m.config_ = f;
  m.time_in_ = bind_linear(w, "time_embedding.linear_1", f.channels, f.time_dim);
  m.time_out_ = bind_linear(w, "time_embedding.linear_2", f.time_dim, f.time_dim);
  if (f.adm_dim > 0) {
    m.label_in_ = bind_linear(w, "add_embedding.linear_1", f.adm_dim, f.time_dim);
    m.label_out_ = bind_linear(w, "add_embedding.linear_2", f.time_dim, f.time_dim);
  }
  m.in_ = bind_conv(w, "conv_in", f.in_channels, f.channels, 3);
  m.bind_down(w);
  const int64_t deepest = f.down.back().channels;
  if (f.has_middle) {
    const UnetConfig::Level level{f.down.back().channels, f.middle_heads, {f.middle_depth}};
    m.middle_ = bind_stage(w, "mid_block", 0, deepest, level, f);
  }
  if (f.has_middle_tail) {
    m.middle_tail_ = bind_res_block(w, "mid_block.resnets.1", deepest, deepest, f.time_dim, f.groups, kNormEps);
  }
  m.bind_up(w);
  m.norm_out_ = bind_group_norm(w, "conv_norm_out", f.up.back().channels, f.groups, kNormEps);
  m.out_ = bind_conv(w, "conv_out", f.up.back().channels, f.out_channels, 3);
  return m;
}

void Unet::check_inputs(const Tensor& x, const Tensor& timesteps, const Tensor& context, const Tensor& y) const {
  if (!x || x.rank() != 4 || (context && context.rank() != 3)) {
    throw Error(Code::kInvalidArgument, "unet: wanted x [B, h, w, channels] and context [B, tokens, dim]");
  }
  const int64_t batch = x.dim(0);
  want(x, {batch, x.dim(1), x.dim(2), config_.in_channels}, "x");
  want(timesteps, {batch}, "timesteps");
  if (config_.context_dim > 0) want(context, {batch, context ? context.dim(1) : 0, config_.context_dim}, "context");
  want(y, {config_.adm_dim > 0 ? batch : 0, config_.adm_dim}, "y");
}

// [B, time_dim], after the SiLU that every residual block begins with.
Tensor Unet::embed(Ctx& c, const Tensor& timesteps, const Tensor& y) const {
  Tensor emb = timestep_embedding(c, timesteps, config_.channels);  // [B, channels]
  emb = time_out_(c, silu(c, time_in_(c, emb)));  // [B, time_dim]
  if (config_.adm_dim > 0) emb = add(c, emb, label_out_(c, silu(c, label_in_(c, y))));
  return silu(c, emb);
}

Tensor Unet::middle(Ctx& c, Tensor x, const Tensor& emb, const Tensor& context) const {
  if (middle_) x = middle_->forward(c, x, emb, context);
  if (middle_tail_) x = middle_tail_->forward(c, x, emb);
  c.cut();
  return x;
}

Tensor Unet::forward(Ctx& c, const Tensor& x, const Tensor& timesteps, const Tensor& context, const Tensor& y) const {
  check_inputs(x, timesteps, context, y);
  const Tensor emb = embed(c, timesteps, y);
  std::vector<Tensor> skips = {in_(c, x)};  // every map on the way down
  c.probe("conv_in", -1, skips.back());
  auto keep = [&](Tensor h) {
    skips.push_back(std::move(h));
    c.probe("down", static_cast<int>(skips.size()) - 1, skips.back());
  };
  for (const Level& level : down_) {
    for (const Stage& stage : level.stages) keep(stage.forward(c, skips.back(), emb, context));
    if (level.resize) keep((*level.resize)(c, skips.back()));  // [B, h/2, w/2, C]
  }
  Tensor h = middle(c, skips.back(), emb, context);
  c.probe("mid", -1, h);
  int index = 0;
  for (const Level& level : up_) {
    for (size_t i = 0; i < level.stages.size(); ++i) {
      h = concat_channels(c, h, skips.back());  // [B, h, w, C + skip]
      skips.pop_back();
      h = level.stages[i].forward(c, h, emb, context);
      if (level.resize && i + 1 == level.stages.size()) {
        h = upsampled(c, *level.resize, h, skips.back().dim(1), skips.back().dim(2));
      }
      c.probe("up", index++, h);
    }
  }
  return out_(c, norm_out_.with_silu(c, h));  // [B, h, w, out]
}

}  // namespace hearth
