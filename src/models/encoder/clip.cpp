// Pre-norm transformer, causal, learned positions. Reference: openai/CLIP, clip/model.py; mlfoundations/open_clip;
// huggingface/transformers, models/clip/modeling_clip.py.
#include "models/encoder/clip.h"

#include <cmath>

#include <fmt/format.h>

#include "core/base/error.h"
#include "ops/attention/full_attention.h"
#include "ops/index/index.h"

namespace hearth {
namespace {

constexpr int kHeadChannels = 64;
constexpr int kOpenClipWidths[] = {1024, 1280};

ClipConfig::Activation activation_of(const NamedTensors& t, const Value& config, bool is_open_clip, int dim) {
  using A = ClipConfig::Activation;
  if (const Value* name = config.find("hidden_act"); name && name->is_string()) {
    if (name->as_string() == "quick_gelu") return A::kQuickGelu;
    if (name->as_string() == "gelu") return A::kGelu;
    throw Error(Code::kUnsupported,
                fmt::format("{}: hidden_act is '{}'; there are quick_gelu and gelu", t.path(), name->as_string()));
  }
  for (int width : kOpenClipWidths) is_open_clip = is_open_clip || dim == width;
  return is_open_clip ? A::kGelu : A::kQuickGelu;
}

}  // namespace

ClipConfig ClipConfig::of(const NamedTensors& t, const Value& config, bool is_open_clip) {
  ClipConfig f;
  f.vocab = t.dim("text_model.embeddings.token_embedding.weight", 0);
  f.dim = t.dim("text_model.embeddings.token_embedding.weight", 1);
  f.positions = t.dim("text_model.embeddings.position_embedding.weight", 0);
  f.layers = t.count("text_model.encoder.layers.");
  f.ffn = t.dim("text_model.encoder.layers.0.mlp.fc1.weight", 0);
  if (t.has("text_projection.weight")) f.projection = t.dim("text_projection.weight", 0);
  f.activation = activation_of(t, config, is_open_clip, f.dim);
  int64_t heads = f.dim / kHeadChannels;
  if (const Value* said = config.find("num_attention_heads"); said && said->is_integer()) heads = said->as_int();
  if (heads <= 0 || f.dim % heads != 0) {
    throw Error(Code::kUnsupported, fmt::format("{}: {} channels do not make {} heads of attention; say how many there "
                                                "are in config.json's num_attention_heads",
                                                t.path(), f.dim, heads));
  }
  f.heads = static_cast<int>(heads);
  return f;
}

Tensor ClipText::Block::forward(Ctx& c, const Tensor& x, const ClipConfig& f) const {
  const int64_t batch = x.dim(0), n = x.dim(1), head = f.dim / f.heads;
  auto heads = [&](const Tensor& t) { return t.reshape({batch, n, f.heads, head}); };
  auto [qh, kh, vh] = project(c, as_rows(norm1(c, x)), q, k, v);       // [B*T, dim] each
  const float scale = 1 / std::sqrt(static_cast<float>(head));
  Tensor y = full_attention(c, heads(qh), heads(kh), heads(vh), {.scale = scale, .causal = true});
  Tensor h = add(c, x, over_last(c, o, y));
  y = fc1(c, as_rows(norm2(c, h)));                                    // [B*T, ffn]
  y = f.activation == ClipConfig::Activation::kGelu ? gelu(c, y) : quick_gelu(c, y);
  return add(c, h, fc2(c, y).reshape(h.shape()));
}

ClipText::Block ClipText::bind_block(Weights& w, const ClipConfig& f, int i) {
  const std::string at = fmt::format("text_model.encoder.layers.{}.", i);
  return {.norm1 = bind_layer_norm(w, at + "layer_norm1", f.dim),
          .norm2 = bind_layer_norm(w, at + "layer_norm2", f.dim),
          .q = bind_linear(w, at + "self_attn.q_proj", f.dim, f.dim),
          .k = bind_linear(w, at + "self_attn.k_proj", f.dim, f.dim),
          .v = bind_linear(w, at + "self_attn.v_proj", f.dim, f.dim),
          .o = bind_linear(w, at + "self_attn.out_proj", f.dim, f.dim),
          .fc1 = bind_linear(w, at + "mlp.fc1", f.dim, f.ffn),
          .fc2 = bind_linear(w, at + "mlp.fc2", f.ffn, f.dim)};
}

ClipText ClipText::bind(Weights& w, const ClipConfig& f) {
  ClipText m;
  m.config_ = f;
  m.tokens_ = w.matrix("text_model.embeddings.token_embedding.weight", f.vocab, f.dim);
  m.positions_ = w.vector("text_model.embeddings.position_embedding.weight", int64_t{f.positions} * f.dim)
                     .reshape({f.positions, f.dim});
  for (int i = 0; i < f.layers; ++i) m.blocks_.push_back(bind_block(w, f, i));
  m.norm_ = bind_layer_norm(w, "text_model.final_layer_norm", f.dim);
  if (f.projection > 0) m.projection_ = bind_linear(w, "text_projection", f.dim, f.projection);
  return m;
}

void ClipText::check_request(const ClipRequest& r) const {
  auto refuse = [](const std::string& what) { throw Error(Code::kInvalidArgument, "clip: " + what); };
  if (!r.ids || r.ids.rank() != 2 || r.ids.dtype() != DType::kI32 || !r.ids.is_contiguous() ||
      r.ids.dim(1) > config_.positions) {
    refuse(fmt::format("ids are {}, wanted i32 [B, T] with T at most {}", r.ids ? r.ids.shape().text() : "absent",
                       config_.positions));
  }
  if (r.pool_at && r.pool_at.shape() != Shape{r.ids.dim(0)}) {
    refuse(fmt::format("pool_at is {}, wanted i32 [{}]", r.pool_at.shape().text(), r.ids.dim(0)));
  }
  if (r.layer >= 0 || r.layer < -config_.layers) {
    refuse(fmt::format("layer is {}, wanted -1 (the last) to -{}", r.layer, config_.layers));
  }
  for (const EmbeddingOverride& o : r.overrides) {
    if (!o.vectors || o.vectors.rank() != 2 || o.vectors.dim(1) != config_.dim || o.row < 0 ||
        o.row + o.vectors.dim(0) > r.ids.numel()) {
      refuse(fmt::format("an embedding is {} at token {}, wanted f32 [n, {}] within {} tokens",
                         o.vectors ? o.vectors.shape().text() : "absent", o.row, config_.dim, r.ids.numel()));
    }
  }
}

Tensor ClipText::embed_tokens(Ctx& c, const ClipRequest& r) const {
  const int64_t batch = r.ids.dim(0), n = r.ids.dim(1);
  Tensor x = embed(c, tokens_, r.ids.reshape({batch * n}));            // [B*T, dim]
  for (const EmbeddingOverride& o : r.overrides) copy_into(c, o.vectors, x.narrow(0, o.row, o.vectors.dim(0)));
  Tensor at = positions_.narrow(0, 0, n).reshape({1, n * config_.dim});
  return add_row(c, x.reshape({1, batch, n * config_.dim}), at).reshape({batch, n, config_.dim});
}

ClipOutput ClipText::forward(Ctx& c, const ClipRequest& r) const {
  check_request(r);
  const int wanted = config_.layers + r.layer;
  Tensor x = embed_tokens(c, r);                                       // [B, T, dim]
  c.probe("embeddings", -1, x);
  ClipOutput out;
  const int last = r.pool_at ? config_.layers - 1 : wanted;
  for (int i = 0; i <= last; ++i) {
    x = blocks_[i].forward(c, x, config_);
    c.probe("layer", i, x);
    if (i == wanted) out.hidden = r.normalise ? norm_(c, x) : x;
    c.cut();
  }
  if (r.pool_at) {
    out.pooled = norm_(c, rows(c, as_rows(x), r.pool_at));             // [B, dim]
    if (config_.projection > 0) out.pooled = projection_(c, out.pooled);
  }
  return out;
}

std::vector<int32_t> pooled_rows(std::span<const int32_t> ids, int64_t tokens, int32_t end) {
  std::vector<int32_t> out;
  for (int64_t begin = 0; begin + tokens <= std::ssize(ids); begin += tokens) {
    int64_t at = 0;
    while (at + 1 < tokens && ids[begin + at] != end) ++at;
    out.push_back(static_cast<int32_t>(begin + at));
  }
  return out;
}

}  // namespace hearth
