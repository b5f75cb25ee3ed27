// Linear, RmsNorm, Mlp: the typed pieces model files are built from. Each owns handles on immutable weights.
#pragma once
#include <array>
#include <string>

#include "models/load/weights.h"
#include "ops/linear/linear.h"
#include "ops/norm/norm.h"
#include "ops/pointwise/pointwise.h"

namespace hearth {

struct Linear {
  Weight weight;
  Tensor bias;  // empty when the layer has none

  Tensor operator()(Ctx& c, const Tensor& x) const { return linear(c, x, weight, bias); }
};

/// A checkpoint that has a bias for the layer means it to be used.
inline Linear bind_linear(Weights& w, const std::string& name, int64_t in, int64_t out) {
  Linear layer{w.matrix(name + ".weight", out, in), {}};
  if (w.has(name + ".bias")) layer.bias = w.vector(name + ".bias", out);
  return layer;
}

/// Several layers that read the same x: one rounding of x, one parallel region.
template <class... Layers>
std::array<Tensor, sizeof...(Layers)> project(Ctx& c, const Tensor& x, const Layers&... layers) {
  std::array<const Weight*, sizeof...(Layers)> weights{&layers.weight...};
  std::array<Tensor, sizeof...(Layers)> biases{layers.bias...};
  std::array<Tensor, sizeof...(Layers)> outs;
  linear_each(c, x, weights, biases, outs);
  return outs;
}

struct RmsNorm {
  Tensor weight;  // [dim] f32
  float eps = 0;

  Tensor operator()(Ctx& c, const Tensor& x) const { return rms_norm(c, x, weight, eps); }
};

/// Gated MLP: down(act(gate x) * up x).
struct Mlp {
  enum class Activation { kSilu, kGeluTanh };
  Linear gate, up, down;
  Activation activation = Activation::kSilu;

  Tensor operator()(Ctx& c, const Tensor& x) const {
    auto [g, u] = project(c, x, gate, up);  // [rows, ffn] each
    Tensor h = activation == Activation::kSilu ? swiglu(c, g, u) : geglu(c, g, u);
    g = u = Tensor();
    return down(c, h);  // [rows, dim]
  }
};

inline Mlp bind_mlp(Weights& w, const std::string& block, int64_t dim, int64_t ffn, Mlp::Activation activation) {
  return {.gate = bind_linear(w, block + "ffn_gate", dim, ffn),
          .up = bind_linear(w, block + "ffn_up", dim, ffn),
          .down = bind_linear(w, block + "ffn_down", ffn, dim),
          .activation = activation};
}

}  // namespace hearth
