// The tensors of language models by their published numbers, for models without a file at hand. Dense decoders this
// build knows become header-only checkpoints (synthetic.h); the others are only counted (estimate.h).
#pragma once
#include <string>
#include <vector>

#include "core/base/value.h"
#include "core/tensor/dtype.h"

namespace hearth::planner {

/// Numbers of a config.json, under the catalogue's names.
struct LmShape {
  std::string architecture;  // "llama", "qwen2", "qwen3", "gemma3", or one without model code: "qwen3moe", ...
  int64_t dim = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, ffn = 0, vocab = 0, context = 0;
  bool has_tied_head = false, has_qkv_bias = false;
  int64_t window = 0, window_pattern = 0;  // of every `pattern` layers the last sees everything
  // Mixture of experts; layers before `dense_layers` have a plain MLP.
  int64_t experts = 0, experts_used = 0, expert_ffn = 0, shared_ffn = 0, dense_layers = 0;
  // Latent attention (DeepSeek): keys and values are kept as one vector of kv_rank + rope_dim.
  int64_t q_rank = 0, kv_rank = 0, rope_dim = 0, nope_dim = 0, v_dim = 0;
  // Gated DeltaNet: all but every `full_every`-th layer keep a fixed state.
  int64_t full_every = 0, linear_k_heads = 0, linear_v_heads = 0, linear_k_dim = 0, linear_v_dim = 0, conv = 4;
  bool has_output_gate = false;  // q is twice as wide

  static LmShape of(const Value& model);
  bool is_known() const;  // this build has code for the architecture
  bool is_linear(int64_t layer) const { return full_every > 0 && (layer + 1) % full_every != 0; }
  bool is_window(int64_t layer) const {
    return window > 0 && (window_pattern == 0 || (layer + 1) % window_pattern != 0);
  }
};

enum class Role { kEmbedding, kHead, kMatrix, kValueOrDown, kRouter, kVector };

struct TensorNeed {
  std::string name;  // as GGUF has it
  std::vector<int64_t> shape;
  Role role = Role::kMatrix;
  int64_t layer = -1;
  double used = 1;  // share of it that one token reads

  double elements() const;
};

std::vector<TensorNeed> tensors_of(const LmShape& shape);

}  // namespace hearth::planner
