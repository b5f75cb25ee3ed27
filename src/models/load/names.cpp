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
    {"attn_q", "self_attn.q_proj"},
    {"attn_k", "self_attn.k_proj"},
    {"attn_v", "self_attn.v_proj"},
    {"attn_output", "self_attn.o_proj"},
    {"attn_q_norm", "self_attn.q_norm"},
    {"attn_k_norm", "self_attn.k_norm"},
    {"attn_norm", "input_layernorm"},
    {"ffn_gate", "mlp.gate_proj"},
    {"ffn_up", "mlp.up_proj"},
    {"ffn_down", "mlp.down_proj"},
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

class LanguageModelTensors final : public TensorSource {
 public:
  explicit LanguageModelTensors(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}
  const TensorFile& file() const override { return checkpoint_.file; }
  const std::string& path() const override { return checkpoint_.path; }
  std::string name_in_file(std::string_view name) const override {
    return is_gguf() ? std::string(name) : hugging_face_name(name, checkpoint_.architecture());
  }
  Located find(std::string_view name) const override {
    if (is_gguf()) return {file().find(name)};
    std::string stem = name_in_file(name);
    if (const TensorInfo* found = file().find(stem)) return {found};
    // A text model inside a multimodal checkpoint, as older and newer transformers name it.
    if (const TensorInfo* found = file().find("language_model." + stem)) return {found};
    constexpr std::string_view kModel = "model.";
    if (stem.compare(0, kModel.size(), kModel) != 0) return {};
    return {file().find("model.language_model." + stem.substr(kModel.size()))};
  }

 private:
  bool is_gguf() const { return checkpoint_.format == Checkpoint::Format::kGguf; }
  const Checkpoint& checkpoint_;
};

}  // namespace

std::unique_ptr<TensorSource> language_model_tensors(const Checkpoint& checkpoint) {
  return std::make_unique<LanguageModelTensors>(checkpoint);
}

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
