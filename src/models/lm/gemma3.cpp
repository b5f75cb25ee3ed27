// Gemma 3, text. Norms before and after attention and MLP, q/k norms, GeGLU, embeddings scaled by sqrt(dim). Five of
// six layers see a sliding window and turn with another rotary base; the sixth sees everything.
// Reference: huggingface/transformers, models/gemma3/modeling_gemma3.py.
#include <cmath>

#include "models/blocks/decoder.h"
#include "models/blocks/rope.h"
#include "models/lm/architectures.h"

namespace hearth {
namespace {

struct Block {
  RmsNorm attn_norm, q_norm, k_norm, post_attn_norm, ffn_norm, post_ffn_norm;
  Linear q, k, v, o;
  Mlp mlp;
  AttentionParams attention;
  RopeParams rope_params;

  Tensor forward(Ctx& c, Tensor x, const LmConfig& f, const Batch& b, const State::Layer& kv) const {  // x [rows, dim]
    const int64_t n = x.dim(0);
    auto [qh, kh, vh] = project(c, attn_norm(c, x), q, k, v);
    qh = rope(c, q_norm(c, qh.reshape({n, f.heads, f.head_dim})), b.pos, rope_params);     // [rows, heads, head_dim]
    kh = rope(c, k_norm(c, kh.reshape({n, f.kv_heads, f.head_dim})), b.pos, rope_params);  // [rows, kv_heads, head_dim]
    kv.append(c, kh, vh.reshape({n, f.kv_heads, f.head_dim}));
    x = add(c, x, post_attn_norm(c, o(c, kv.attend(c, qh, b, attention))));                // [rows, dim]
    return add(c, x, post_ffn_norm(c, mlp(c, ffn_norm(c, x))));
  }
};

// Hugging Face stores norm weights around zero and computes with 1 + w; GGUF stores the sum.
float norm_plus(const Weights& w) { return w.checkpoint().format == Checkpoint::Format::kHuggingFace ? 1.0f : 0.0f; }

Block bind_block(Weights& w, const LmConfig& f, const RopeParams& global, int i) {
  const std::string at = "blk." + std::to_string(i) + ".";
  const int64_t q_dim = int64_t{f.heads} * f.head_dim, kv_dim = int64_t{f.kv_heads} * f.head_dim;
  auto norm = [&](const char* name, int64_t n) { return RmsNorm{w.vector(at + name, n, norm_plus(w)), f.eps}; };
  const bool is_window = f.is_window_layer[i];
  const RopeParams local{.rotary_dim = f.head_dim, .base = f.rope_base_local > 0 ? f.rope_base_local : f.rope_base};
  return {.attn_norm = norm("attn_norm.weight", f.dim),
          .q_norm = norm("attn_q_norm.weight", f.head_dim),
          .k_norm = norm("attn_k_norm.weight", f.head_dim),
          .post_attn_norm = norm("post_attention_norm.weight", f.dim),
          .ffn_norm = norm("ffn_norm.weight", f.dim),
          .post_ffn_norm = norm("post_ffw_norm.weight", f.dim),
          .q = bind_linear(w, at + "attn_q", f.dim, q_dim),
          .k = bind_linear(w, at + "attn_k", f.dim, kv_dim),
          .v = bind_linear(w, at + "attn_v", f.dim, kv_dim),
          .o = bind_linear(w, at + "attn_output", q_dim, f.dim),
          .mlp = bind_mlp(w, at, f.dim, f.ffn, Mlp::Activation::kGeluTanh),
          .attention = {.scale = f.attention_scale, .window = is_window ? f.window : 0, .softcap = f.attention_softcap},
          .rope_params = is_window ? local : global};
}

}  // namespace

std::unique_ptr<LanguageModel> bind_gemma3(Weights& w, const LmConfig& f) {
  LmEnds ends = bind_ends(w, f, norm_plus(w));
  const RopeParams global = bind_rope(w, f);
  std::vector<Block> blocks;
  for (int i = 0; i < f.layers; ++i) blocks.push_back(bind_block(w, f, global, i));
  return std::make_unique<Decoder<Block>>(f, std::move(ends), std::move(blocks), std::sqrt(static_cast<float>(f.dim)));
}

}  // namespace hearth
