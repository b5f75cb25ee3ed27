// LmConfig: the numbers of a decoder-only language model, read from GGUF metadata or a Hugging Face config.json. Every
// number is checked for range before a shape is computed from it; what this build does not do is refused by name.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "models/load/checkpoint.h"

namespace hearth {

/// Llama 3's per-frequency stretch (rope_scaling of type "llama3").
struct Llama3RopeScaling {
  float factor = 0;  // 0: none
  float low_freq_factor = 1, high_freq_factor = 4;
  float original_context = 8192;
};

struct LmConfig {
  std::string architecture;
  int dim = 0, layers = 0, heads = 0, kv_heads = 0, head_dim = 0, ffn = 0, vocab = 0;
  int64_t context = 0;          // positions the model was made for
  float eps = 1e-5f;
  float rope_base = 10000;
  float rope_base_local = 0;    // window layers that turn with another base; 0: the same
  bool rope_interleaved = false;
  float rope_linear_factor = 1; // positions are divided by this
  Llama3RopeScaling rope_llama3;
  int window = 0;               // sliding window; 0: none
  std::vector<bool> is_window_layer;  // one per layer
  float attention_scale = 0;    // multiplies q·k
  float final_softcap = 0, attention_softcap = 0;
  bool has_tied_head = false;   // no output matrix of its own

  static LmConfig from(const Checkpoint& checkpoint);
};

}  // namespace hearth
