// Conv, GroupNorm, LayerNorm and Linear on feature maps: the typed pieces the networks of pictures are built from. Maps
// are [B, H, W, C]; each layer owns handles on immutable weights.
#pragma once
#include <string>

#include "models/blocks/layers.h"
#include "ops/conv/conv.h"
#include "ops/index/copy.h"

namespace hearth {

struct Conv {
  Weight weight;  // [out, k, k, in]
  Tensor bias;  // empty when the layer has none
  ConvParams params;

  Tensor operator()(Ctx& c, const Tensor& x) const { return conv2d(c, x, weight, bias, params); }
};

/// A convolution that keeps the size of the map (stride 1) or halves it, rounding up (stride 2).
inline Conv bind_conv(Weights& w, const std::string& name, int64_t in, int64_t out, int kernel, int stride = 1) {
  const int pad = kernel / 2;
  Conv layer{w.conv(name + ".weight", out, in, kernel),
             {},
             {.stride = stride, .top = pad, .left = pad, .bottom = pad, .right = pad}};
  if (w.has(name + ".bias")) layer.bias = w.vector(name + ".bias", out);
  return layer;
}

struct GroupNorm {
  Tensor weight, bias;  // [channels] f32
  int groups = 32;
  float eps = 0;

  Tensor operator()(Ctx& c, const Tensor& x) const { return group_norm(c, x, weight, bias, groups, eps); }
  Tensor with_silu(Ctx& c, const Tensor& x) const { return group_norm(c, x, weight, bias, groups, eps, true); }
};

inline GroupNorm bind_group_norm(Weights& w, const std::string& name, int64_t channels, int groups, float eps) {
  return {w.vector(name + ".weight", channels), w.vector(name + ".bias", channels), groups, eps};
}

struct LayerNorm {
  Tensor weight, bias;  // [dim] f32
  float eps = 1e-5f;

  Tensor operator()(Ctx& c, const Tensor& x) const { return layer_norm(c, x, weight, bias, eps); }
};

inline LayerNorm bind_layer_norm(Weights& w, const std::string& name, int64_t dim) {
  return {w.vector(name + ".weight", dim), w.vector(name + ".bias", dim)};
}

/// x [..., C] as the rows linear() takes.
inline Tensor as_rows(const Tensor& x) { return x.reshape({x.numel() / x.dim(-1), x.dim(-1)}); }

/// A linear layer over the last dimension of x [..., in] -> [..., out].
inline Tensor over_last(Ctx& c, const Linear& layer, const Tensor& x) {
  Shape shape = x.shape();
  shape[-1] = layer.weight.out();
  return layer(c, as_rows(x)).reshape(shape);
}

/// The upper left part of a map x [B, H, W, C], itself where it has that size already.
inline Tensor cropped(Ctx& c, const Tensor& x, int64_t height, int64_t width) {
  if (x.dim(1) == height && x.dim(2) == width) return x;
  Tensor out = c.make(DType::kF32, {x.dim(0), height, width, x.dim(3)});
  for (int64_t b = 0; b < x.dim(0); ++b) {
    for (int64_t row = 0; row < height; ++row) {
      copy_into(c, x.narrow(0, b, 1).narrow(1, row, 1).narrow(2, 0, width), out.narrow(0, b, 1).narrow(1, row, 1));
    }
  }
  return out;
}

}  // namespace hearth
