#include "models/encoder/names.h"

#include <utility>

#include <fmt/format.h>

#include "core/base/error.h"

namespace hearth {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr Pair kTop[] = {
    {"token_embedding.weight", "text_model.embeddings.token_embedding.weight"},
    {"positional_embedding", "text_model.embeddings.position_embedding.weight"},
    {"ln_final.weight", "text_model.final_layer_norm.weight"},
    {"ln_final.bias", "text_model.final_layer_norm.bias"},
    {"text_projection.weight", "text_projection.weight"},
};

constexpr Pair kBlock[] = {
    {"ln_1", "layer_norm1"},
    {"ln_2", "layer_norm2"},
    {"mlp.c_fc", "mlp.fc1"},
    {"mlp.c_proj", "mlp.fc2"},
    {"attn.out_proj", "self_attn.out_proj"},
};

constexpr std::string_view kBlocks = "transformer.resblocks.";

bool starts_with(std::string_view text, std::string_view with) { return text.substr(0, with.size()) == with; }

// "attn.in_proj_weight": q, k and v, one below the other.
void add_fused(NamedTensors& to, const std::string& block, std::string_view suffix, const TensorInfo& tensor) {
  if (tensor.shape.empty() || tensor.shape[0] % 3 != 0 || tensor.shape[0] == 0) {
    throw Error(Code::kCorruptFile, fmt::format("tensor '{}' is {}, wanted three projections of equal size",
                                                tensor.name, describe(tensor.shape)));
  }
  const int64_t third = tensor.shape[0] / 3;
  int64_t first = 0;
  for (char which : {'q', 'k', 'v'}) {
    to.add(fmt::format("{}self_attn.{}_proj.{}", block, which, suffix), {&tensor, first, third});
    first += third;
  }
}

void add_open_clip_block(NamedTensors& to, std::string_view name, const TensorInfo& tensor) {
  const size_t dot = name.find('.', kBlocks.size());
  if (dot == name.npos) return;
  const std::string block =
      fmt::format("text_model.encoder.layers.{}.", name.substr(kBlocks.size(), dot - kBlocks.size()));
  const std::string_view field = name.substr(dot + 1);
  if (field == "attn.in_proj_weight") return add_fused(to, block, "weight", tensor);
  if (field == "attn.in_proj_bias") return add_fused(to, block, "bias", tensor);
  for (const auto& [from, into] : kBlock) {
    if (!starts_with(field, from) || field.substr(from.size(), 1) != ".") continue;
    to.add(fmt::format("{}{}{}", block, into, field.substr(from.size())), {&tensor});
  }
}

void add_open_clip(NamedTensors& to, std::string_view name, const TensorInfo& tensor) {
  if (starts_with(name, kBlocks)) return add_open_clip_block(to, name, tensor);
  if (name == "text_projection") {
    to.add("text_projection.weight", {&tensor, 0, 0, /*is_transposed=*/true});
    return;
  }
  for (const auto& [from, into] : kTop) {
    if (name == from) to.add(std::string(into), {&tensor});
  }
}

}  // namespace

ClipNames clip_names(const TensorFile& file, const std::string& prefix) {
  for (const char* inner : {"text_model.", ""}) {
    if (file.find(prefix + inner + "embeddings.token_embedding.weight") &&
        file.find(prefix + inner + "encoder.layers.0.mlp.fc1.weight")) {
      return ClipNames::kHuggingFace;
    }
  }
  const bool is_open = file.find(prefix + "token_embedding.weight") &&
                       file.find(prefix + std::string(kBlocks) + "0.attn.in_proj_weight");
  return is_open ? ClipNames::kOpenClip : ClipNames::kNone;
}

void add_clip_tensor(NamedTensors& to, std::string_view name, const TensorInfo& tensor, ClipNames names) {
  if (names == ClipNames::kOpenClip) return add_open_clip(to, name, tensor);
  // Some files leave the inner model's name out.
  if (starts_with(name, "embeddings.") || starts_with(name, "encoder.") || starts_with(name, "final_layer_norm.")) {
    to.add("text_model." + std::string(name), {&tensor});
  } else if (starts_with(name, "text_model.") || name == "text_projection.weight") {
    to.add(std::string(name), {&tensor});
  }
}

}  // namespace hearth
