#include "models/load/names.h"

#include <utility>

namespace hearth {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr Pair kTopLevel[] = {
    {"token_embd", "model.embed_tokens"},
    {"output_norm", "model.norm"},
    {"output", "lm_head"},
};

constexpr Pair kBlock[] = {
    {"attn_q", "self_attn.q_proj"},      {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},      {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"}, {"attn_k_norm", "self_attn.k_norm"},
    {"attn_norm", "input_layernorm"},    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},           {"ffn_down", "mlp.down_proj"},
    {"post_attention_norm", "post_attention_layernorm"},
    {"post_ffw_norm", "post_feedforward_layernorm"},
};

template <size_t N>
std::string_view lookup(const Pair (&table)[N], std::string_view key) {
  for (const auto& [gguf, hf] : table) {
    if (gguf == key) return hf;
  }
  return {};
}

std::string_view block_name(std::string_view field, std::string_view architecture) {
  // With four norms a block, Gemma's norm before the MLP needs a name of its own.
  bool four_norms = architecture.substr(0, 6) == "gemma3";
  if (field == "ffn_norm") return four_norms ? "pre_feedforward_layernorm" : "post_attention_layernorm";
  return lookup(kBlock, field);
}

}  // namespace

std::string hugging_face_name(std::string_view gguf_name, std::string_view architecture) {
  size_t dot = gguf_name.rfind('.');
  if (dot == gguf_name.npos) return std::string(gguf_name);
  std::string suffix(gguf_name.substr(dot));  // ".weight" or ".bias"
  std::string_view stem = gguf_name.substr(0, dot);
  if (stem.substr(0, 4) != "blk.") {
    std::string_view found = lookup(kTopLevel, stem);
    return found.empty() ? std::string(gguf_name) : std::string(found) + suffix;
  }
  stem.remove_prefix(4);
  size_t end_of_index = stem.find('.');
  if (end_of_index == stem.npos) return std::string(gguf_name);
  std::string_view found = block_name(stem.substr(end_of_index + 1), architecture);
  if (found.empty()) return std::string(gguf_name);
  return "model.layers." + std::string(stem.substr(0, end_of_index)) + "." + std::string(found) + suffix;
}

}  // namespace hearth
