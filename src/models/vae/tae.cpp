// Reference: madebyollin/taesd, taesd.py; huggingface/diffusers, models/autoencoders/autoencoder_tiny.py.
#include "models/vae/tae.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"
#include "ops/resize/upsample.h"

namespace hearth {
namespace {

using Kind = TinyVaeConfig::Layer;

constexpr int kMaxLayers = 256;

// What layer i is, by which tensors it has: three convolutions, one, or none.
Kind kind_of(const NamedTensors& t, const std::string& half, int i, bool is_first) {
  const std::string at = fmt::format("{}.{}.", half, i);
  if (t.has(at + "conv.0.weight")) return Kind::kBlock;
  if (!t.has(at + "weight")) return is_first ? Kind::kRelu : Kind::kUpsample;
  // On the way down, only the convolutions that halve the map have no bias.
  return half == "encoder" && !t.has(at + "bias") ? Kind::kStride : Kind::kConv;
}

TinyVaeConfig::Half half_of(const NamedTensors& t, const std::string& half, int first) {
  TinyVaeConfig::Half out;
  out.first = first;
  int last = first;
  for (int i = first; i < kMaxLayers; ++i) {
    if (t.has_prefix(fmt::format("{}.{}.", half, i))) last = i;
  }
  for (int i = first; i <= last; ++i) out.layers.push_back(kind_of(t, half, i, i == first + 1));
  const std::string in = fmt::format("{}.{}.weight", half, first), end = fmt::format("{}.{}.weight", half, last);
  out.in = t.dim(in, 1);
  out.channels = t.dim(in, 0);
  out.out = t.dim(end, 0);
  return out;
}

void want_map(const Tensor& x, int64_t channels, const char* what) {
  if (x && x.rank() == 4 && x.dtype() == DType::kF32 && x.dim(3) == channels && x.is_contiguous()) return;
  throw Error(Code::kInvalidArgument, fmt::format("taesd: {} is {}, wanted f32 [B, h, w, {}]", what,
                                                  x ? x.shape().text() : "absent", channels));
}

// x factor + shift, shift [C].
Tensor scaled(Ctx& c, const Tensor& x, float factor, const Tensor& shift) {
  const int64_t channels = x.dim(-1);
  Tensor y = scale(c, x, factor).reshape({1, x.numel() / channels, channels});
  return add_row(c, y, shift.reshape({1, channels})).reshape(x.shape());
}

}  // namespace

TinyVaeConfig TinyVaeConfig::of(const NamedTensors& t) {
  TinyVaeConfig f;
  if (t.has_prefix("encoder.")) {
    f.encoder = half_of(t, "encoder", 0);
    f.latent_channels = f.encoder->out;
  }
  if (t.has_prefix("decoder.")) {
    f.decoder = half_of(t, "decoder", 1);
    f.latent_channels = f.decoder->in;
  }
  return f;
}

int TinyVaeConfig::shrink() const {
  const Half& half = decoder ? *decoder : encoder.value();
  const Layer step = decoder ? Layer::kUpsample : Layer::kStride;
  return 1 << std::count(half.layers.begin(), half.layers.end(), step);
}

Tensor TinyVae::Layer::forward(Ctx& c, const Tensor& x) const {
  switch (kind) {
    case Kind::kRelu: return relu(c, x);
    case Kind::kUpsample: return upsample_nearest2(c, x);
    case Kind::kConv:
    case Kind::kStride: return a(c, x);
    case Kind::kBlock: break;
  }
  Tensor h = d(c, relu(c, b(c, relu(c, a(c, x)))));
  add_into(c, x, h);
  return relu(c, h);
}

std::vector<TinyVae::Layer> TinyVae::bind_half(Weights& w, const std::string& name, const TinyVaeConfig::Half& f) {
  std::vector<Layer> layers;
  const int n = static_cast<int>(f.layers.size());
  for (int i = 0; i < n; ++i) {
    const std::string at = fmt::format("{}.{}", name, f.first + i);
    Layer& layer = layers.emplace_back(Layer{f.layers[i], {}, {}, {}});
    const int in = i == 0 ? f.in : f.channels, out = i + 1 == n ? f.out : f.channels;
    if (layer.kind == Kind::kConv) layer.a = bind_conv(w, at, in, out, 3);
    if (layer.kind == Kind::kStride) layer.a = bind_conv(w, at, in, out, 3, /*stride=*/2);
    if (layer.kind != Kind::kBlock) continue;
    layer.a = bind_conv(w, at + ".conv.0", f.channels, f.channels, 3);
    layer.b = bind_conv(w, at + ".conv.2", f.channels, f.channels, 3);
    layer.d = bind_conv(w, at + ".conv.4", f.channels, f.channels, 3);
  }
  return layers;
}

TinyVae TinyVae::bind(Weights& w, const TinyVaeConfig& f) {
  TinyVae m;
  m.config_ = f;
  if (f.encoder) m.encoder_ = bind_half(w, "encoder", *f.encoder);
  if (f.decoder) m.decoder_ = bind_half(w, "decoder", *f.decoder);
  if (f.decoder) m.minus_one_ = w.computed(std::vector<float>(f.decoder->out, -1.0f));
  if (f.encoder) m.half_ = w.computed(std::vector<float>(f.encoder->in, 0.5f));
  return m;
}

Tensor TinyVae::run(Ctx& c, const std::vector<Layer>& layers, Tensor x) {
  for (const Layer& layer : layers) {
    x = layer.forward(c, x);
    c.cut();
  }
  return x;
}

Tensor TinyVae::decode(Ctx& c, const Tensor& z) const {
  if (decoder_.empty()) throw Error(Code::kUnsupported, "taesd: the file holds no decoder");
  want_map(z, config_.decoder->in, "the latent");
  return scaled(c, run(c, decoder_, tanh_clamp(c, z)), 2, minus_one_);  // [B, 8h, 8w, 3]
}

Tensor TinyVae::encode(Ctx& c, const Tensor& x) const {
  if (encoder_.empty()) throw Error(Code::kUnsupported, "taesd: the file holds no encoder");
  want_map(x, config_.encoder->in, "the picture");
  return run(c, encoder_, scaled(c, x, 0.5f, half_));                   // [B, H/8, W/8, latent]
}

}  // namespace hearth
