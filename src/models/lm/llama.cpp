// Llama 2 and 3, SmolLM2, Mistral (sliding window), Qwen2 (biases on q, k, v). Pre-norm decoder, grouped heads, rotary
// positions, SwiGLU. Reference: huggingface/transformers, models/llama/modeling_llama.py, models/qwen2, models/mistral.
#include "models/blocks/decoder.h"
#include "models/blocks/rope.h"
#include "models/lm/architectures.h"

namespace hearth {
namespace {

struct Block {
  RmsNorm attn_norm, ffn_norm;
  Linear q, k, v, o;
  Mlp mlp;
  AttentionParams attention;
  RopeParams rope_params;

  Tensor forward(Ctx& c, Tensor x, const LmConfig& f, const Batch& b, const State::Layer& kv) const {  // x [rows, dim]
    const int64_t n = x.dim(0);
    auto [qh, kh, vh] = project(c, attn_norm(c, x), q, k, v);
    qh = rope(c, qh.reshape({n, f.heads, f.head_dim}), b.pos, rope_params);     // [rows, heads, head_dim]
    kh = rope(c, kh.reshape({n, f.kv_heads, f.head_dim}), b.pos, rope_params);  // [rows, kv_heads, head_dim]
    kv.append(c, kh, vh.reshape({n, f.kv_heads, f.head_dim}));
    x = add(c, x, o(c, kv.attend(c, qh, b, attention)));                        // [rows, dim]
    return add(c, x, mlp(c, ffn_norm(c, x)));
  }
};

Block bind_block(Weights& w, const LmConfig& f, const RopeParams& rope_params, int i) {
  const std::string at = "blk." + std::to_string(i) + ".";
  const int64_t q_dim = int64_t{f.heads} * f.head_dim, kv_dim = int64_t{f.kv_heads} * f.head_dim;
  return {.attn_norm = {w.vector(at + "attn_norm.weight", f.dim), f.eps},
          .ffn_norm = {w.vector(at + "ffn_norm.weight", f.dim), f.eps},
          .q = bind_linear(w, at + "attn_q", f.dim, q_dim),
          .k = bind_linear(w, at + "attn_k", f.dim, kv_dim),
          .v = bind_linear(w, at + "attn_v", f.dim, kv_dim),
          .o = bind_linear(w, at + "attn_output", q_dim, f.dim),
          .mlp = bind_mlp(w, at, f.dim, f.ffn, Mlp::Activation::kSilu),
          .attention = {.scale = f.attention_scale, .window = f.is_window_layer[i] ? f.window : 0},
          .rope_params = rope_params};
}

}  // namespace

std::unique_ptr<LanguageModel> bind_llama(Weights& w, const LmConfig& f) {
  LmEnds ends = bind_ends(w, f);
  const RopeParams rope_params = bind_rope(w, f);
  std::vector<Block> blocks;
  for (int i = 0; i < f.layers; ++i) blocks.push_back(bind_block(w, f, rope_params, i));
  return std::make_unique<Decoder<Block>>(f, std::move(ends), std::move(blocks));
}

}  // namespace hearth
