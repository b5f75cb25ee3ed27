#include "planner/catalogue/lm_tensors.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"
#include "models/lm/language_model.h"

namespace hearth::planner {
namespace {

int64_t number(const Value& model, std::string_view key, int64_t fallback = 0) {
  const Value* value = model.find(key);
  return value ? value->as_int() : fallback;
}

bool flag(const Value& model, std::string_view key) {
  const Value* value = model.find(key);
  return value && value->as_bool();
}

class Lister {
 public:
  explicit Lister(const LmShape& f) : f_(f) {}

  std::vector<TensorNeed> list() {
    const double row = 1.0 / static_cast<double>(f_.vocab);
    add("token_embd.weight", {f_.vocab, f_.dim}, Role::kEmbedding, f_.has_tied_head ? 1 : row);
    add("output_norm.weight", {f_.dim}, Role::kVector);
    if (!f_.has_tied_head) add("output.weight", {f_.vocab, f_.dim}, Role::kHead);
    for (layer_ = 0; layer_ < f_.layers; ++layer_) {
      at_ = fmt::format("blk.{}.", layer_);
      norms();
      if (f_.is_linear(layer_)) {
        delta_net();
      } else if (f_.kv_rank > 0) {
        latent_attention();
      } else {
        attention();
      }
      if (f_.experts > 0 && layer_ >= f_.dense_layers) {
        mixture();
      } else {
        mlp("ffn_", f_.ffn, Role::kMatrix, Role::kValueOrDown);
      }
    }
    return std::move(tensors_);
  }

 private:
  void add(const std::string& name, std::vector<int64_t> shape, Role role, double used = 1) {
    tensors_.push_back({at_ + name, std::move(shape), role, at_.empty() ? -1 : layer_, used});
  }
  void norms() {
    add("attn_norm.weight", {f_.dim}, Role::kVector);
    add("ffn_norm.weight", {f_.dim}, Role::kVector);
    if (f_.architecture == "gemma3") {
      add("post_attention_norm.weight", {f_.dim}, Role::kVector);
      add("post_ffw_norm.weight", {f_.dim}, Role::kVector);
    }
    if (f_.architecture.starts_with("qwen3") || f_.architecture == "gemma3") {
      add("attn_q_norm.weight", {f_.head_dim}, Role::kVector);
      add("attn_k_norm.weight", {f_.head_dim}, Role::kVector);
    }
  }
  void attention() {
    const int64_t q = f_.heads * f_.head_dim, kv = f_.kv_heads * f_.head_dim;
    add("attn_q.weight", {f_.has_output_gate ? 2 * q : q, f_.dim}, Role::kMatrix);
    add("attn_k.weight", {kv, f_.dim}, Role::kMatrix);
    add("attn_v.weight", {kv, f_.dim}, Role::kValueOrDown);
    add("attn_output.weight", {f_.dim, q}, Role::kMatrix);
    if (!f_.has_qkv_bias) return;
    add("attn_q.bias", {q}, Role::kVector);
    add("attn_k.bias", {kv}, Role::kVector);
    add("attn_v.bias", {kv}, Role::kVector);
  }
  void latent_attention() {
    add("attn_q_a.weight", {f_.q_rank, f_.dim}, Role::kMatrix);
    add("attn_q_b.weight", {f_.heads * (f_.nope_dim + f_.rope_dim), f_.q_rank}, Role::kMatrix);
    add("attn_kv_a_mqa.weight", {f_.kv_rank + f_.rope_dim, f_.dim}, Role::kMatrix);
    add("attn_kv_b.weight", {f_.heads * (f_.nope_dim + f_.v_dim), f_.kv_rank}, Role::kMatrix);
    add("attn_output.weight", {f_.dim, f_.heads * f_.v_dim}, Role::kMatrix);
  }
  void delta_net() {
    const int64_t k = f_.linear_k_heads * f_.linear_k_dim, v = f_.linear_v_heads * f_.linear_v_dim;
    add("ssm_in.weight", {2 * k + 2 * v, f_.dim}, Role::kMatrix);  // q, k, v and the gate
    add("ssm_ba.weight", {2 * f_.linear_v_heads, f_.dim}, Role::kMatrix);
    add("ssm_conv1d.weight", {2 * k + v, f_.conv}, Role::kVector);
    add("ssm_out.weight", {f_.dim, v}, Role::kMatrix);
  }
  void mlp(const std::string& prefix, int64_t ffn, Role role, Role down, double used = 1, int64_t count = 1) {
    add(prefix + "gate.weight", {count * ffn, f_.dim}, role, used);
    add(prefix + "up.weight", {count * ffn, f_.dim}, role, used);
    add(prefix + "down.weight", {count * f_.dim, ffn}, down, used);
  }
  void mixture() {
    add("ffn_gate_inp.weight", {f_.experts, f_.dim}, Role::kRouter);
    const double used = static_cast<double>(f_.experts_used) / static_cast<double>(f_.experts);
    mlp("ffn_exps_", f_.expert_ffn, Role::kMatrix, Role::kValueOrDown, used, f_.experts);
    if (f_.shared_ffn > 0) mlp("ffn_shexp_", f_.shared_ffn, Role::kMatrix, Role::kMatrix);
  }

  const LmShape& f_;
  int64_t layer_ = 0;
  std::string at_;
  std::vector<TensorNeed> tensors_;
};

}  // namespace

LmShape LmShape::of(const Value& m) {
  LmShape f;
  f.architecture = m.at("architecture").as_string();
  f.dim = m.at("dim").as_int();
  f.layers = m.at("layers").as_int();
  f.heads = m.at("heads").as_int();
  f.kv_heads = number(m, "kv_heads", f.heads);
  f.head_dim = number(m, "head_dim", f.dim / f.heads);
  f.ffn = number(m, "ffn");
  f.vocab = m.at("vocab").as_int();
  f.context = m.at("context").as_int();
  f.has_tied_head = flag(m, "tied_head");
  f.has_qkv_bias = flag(m, "qkv_bias");
  f.window = number(m, "window");
  f.window_pattern = number(m, "window_pattern");
  f.experts = number(m, "experts");
  f.experts_used = number(m, "experts_used");
  f.expert_ffn = number(m, "expert_ffn");
  f.shared_ffn = number(m, "shared_ffn");
  f.dense_layers = number(m, "dense_layers");
  f.q_rank = number(m, "q_rank");
  f.kv_rank = number(m, "kv_rank");
  f.rope_dim = number(m, "rope_dim");
  f.nope_dim = number(m, "nope_dim");
  f.v_dim = number(m, "v_dim");
  f.full_every = number(m, "full_every");
  f.linear_k_heads = number(m, "linear_k_heads");
  f.linear_v_heads = number(m, "linear_v_heads");
  f.linear_k_dim = number(m, "linear_k_dim");
  f.linear_v_dim = number(m, "linear_v_dim");
  f.has_output_gate = flag(m, "output_gate");
  return f;
}

bool LmShape::is_known() const {
  const std::vector<std::string> known = language_architectures();
  return std::find(known.begin(), known.end(), architecture) != known.end();
}

double TensorNeed::elements() const {
  double n = 1;
  for (int64_t size : shape) n *= static_cast<double>(size);
  return n;
}

std::vector<TensorNeed> tensors_of(const LmShape& shape) { return Lister(shape).list(); }

}  // namespace hearth::planner
