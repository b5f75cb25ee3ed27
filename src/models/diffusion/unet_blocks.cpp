#include "models/diffusion/unet_blocks.h"

#include <cmath>

namespace hearth {
namespace {

constexpr float kTransformerNormEps = 1e-6f;
constexpr int kFeedForward = 4;  // width of the hidden layer over that of the block

CrossAttention bind_attention(Weights& w, const std::string& name, int64_t dim, int64_t to_dim, int heads) {
  return {.q = bind_linear(w, name + ".to_q", dim, dim),
          .k = bind_linear(w, name + ".to_k", to_dim, dim),
          .v = bind_linear(w, name + ".to_v", to_dim, dim),
          .o = bind_linear(w, name + ".to_out.0", dim, dim),
          .heads = heads};
}

TransformerBlock bind_transformer_block(Weights& w, const std::string& name, int64_t dim, int64_t context_dim,
                                        int heads) {
  return {.norm1 = bind_layer_norm(w, name + ".norm1", dim),
          .norm2 = bind_layer_norm(w, name + ".norm2", dim),
          .norm3 = bind_layer_norm(w, name + ".norm3", dim),
          .self = bind_attention(w, name + ".attn1", dim, dim, heads),
          .text = bind_attention(w, name + ".attn2", dim, context_dim, heads),
          .ff_in = bind_linear(w, name + ".ff.net.0.proj", dim, 2 * kFeedForward * dim),
          .ff_out = bind_linear(w, name + ".ff.net.2", kFeedForward * dim, dim)};
}

}  // namespace

Tensor ResBlock::forward(Ctx& c, const Tensor& x, const Tensor& emb) const {
  Tensor h = conv1(c, norm1.with_silu(c, x));                      // [B, H, W, out]
  if (time.weight) h = add_row(c, h, time(c, emb));
  h = norm2.with_silu(c, h);  // on its own: three maps of this size at a time, not four
  h = conv2(c, h);
  add_into(c, skip ? (*skip)(c, x) : x, h);
  return h;
}

ResBlock bind_res_block(Weights& w, const std::string& name, int64_t in, int64_t out, int64_t time_dim, int groups,
                        float eps) {
  ResBlock block{.norm1 = bind_group_norm(w, name + ".norm1", in, groups, eps),
                 .norm2 = bind_group_norm(w, name + ".norm2", out, groups, eps),
                 .conv1 = bind_conv(w, name + ".conv1", in, out, 3),
                 .conv2 = bind_conv(w, name + ".conv2", out, out, 3),
                 .time = {},
                 .skip = {}};
  if (time_dim > 0) block.time = bind_linear(w, name + ".time_emb_proj", time_dim, out);
  if (in != out) block.skip = bind_conv(w, name + ".conv_shortcut", in, out, 1);
  return block;
}

Tensor CrossAttention::forward(Ctx& c, const Tensor& x, const Tensor& to) const {
  const int64_t batch = x.dim(0), n = x.dim(1), m = to.dim(1), dim = x.dim(2), head = dim / heads;
  auto split = [&](const Tensor& t, int64_t length) { return t.reshape({batch, length, heads, head}); };
  Tensor qh = split(q(c, as_rows(x)), n);                           // [B, N, heads, head]
  auto [kh, vh] = project(c, as_rows(to), k, v);                    // [B*M, dim] each
  const float scale = 1 / std::sqrt(static_cast<float>(head));
  Tensor y = full_attention(c, qh, split(kh, m), split(vh, m), {.scale = scale});  // [B, N, dim]
  qh = kh = vh = Tensor();
  return over_last(c, o, y);
}

Tensor TransformerBlock::forward(Ctx& c, Tensor x, const Tensor& context) const {
  Tensor h = norm1(c, x);
  x = add(c, x, self.forward(c, h, h));
  x = add(c, x, text.forward(c, norm2(c, x), context));
  h = ff_in(c, as_rows(norm3(c, x)));                               // [B*N, 8 dim]: value, then gate
  const int64_t half = h.dim(1) / 2;
  h = geglu_erf(c, h.narrow(1, half, half), h.narrow(1, 0, half));  // [B*N, 4 dim]
  return add(c, x, ff_out(c, h).reshape(x.shape()));
}

Tensor SpatialTransformer::forward(Ctx& c, const Tensor& x, const Tensor& context) const {
  const int64_t batch = x.dim(0), pixels = x.dim(1) * x.dim(2), channels = x.dim(3);
  Tensor h = over_last(c, in, norm(c, x)).reshape({batch, pixels, channels});  // [B, H*W, C]
  for (const TransformerBlock& block : blocks) {
    h = block.forward(c, std::move(h), context);
    c.cut();
  }
  h = over_last(c, out, h).reshape(x.shape());
  add_into(c, x, h);
  return h;
}

SpatialTransformer bind_spatial_transformer(Weights& w, const std::string& name, int64_t channels, int64_t context_dim,
                                            int depth, int heads, int groups) {
  SpatialTransformer layer{.norm = bind_group_norm(w, name + ".norm", channels, groups, kTransformerNormEps),
                           .in = bind_linear(w, name + ".proj_in", channels, channels),
                           .out = bind_linear(w, name + ".proj_out", channels, channels),
                           .blocks = {}};
  for (int i = 0; i < depth; ++i) {
    layer.blocks.push_back(
        bind_transformer_block(w, name + ".transformer_blocks." + std::to_string(i), channels, context_dim, heads));
  }
  return layer;
}

}  // namespace hearth
