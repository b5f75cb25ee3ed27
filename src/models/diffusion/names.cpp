#include "models/diffusion/names.h"

#include <algorithm>
#include <charconv>
#include <set>
#include <utility>

#include <fmt/format.h>

namespace hearth {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr Pair kEnds[] = {
    {"input_blocks.0.0", "conv_in"},
    {"time_embed.0", "time_embedding.linear_1"},
    {"time_embed.2", "time_embedding.linear_2"},
    {"label_emb.0.0", "add_embedding.linear_1"},
    {"label_emb.0.2", "add_embedding.linear_2"},
    {"middle_block.0", "mid_block.resnets.0"},
    {"middle_block.1", "mid_block.attentions.0"},
    {"middle_block.2", "mid_block.resnets.1"},
    {"out.0", "conv_norm_out"},
    {"out.2", "conv_out"},
};

constexpr Pair kResnet[] = {
    {"in_layers.0", "norm1"},  {"in_layers.2", "conv1"},  {"emb_layers.1", "time_emb_proj"},
    {"out_layers.0", "norm2"}, {"out_layers.3", "conv2"}, {"skip_connection", "conv_shortcut"},
};

// The field of a residual block in the other naming; "" when there is none.
std::string resnet_field(std::string_view field, bool to_diffusers) {
  for (const auto& [original, diffusers] : kResnet) {
    std::string_view from = to_diffusers ? original : diffusers, to = to_diffusers ? diffusers : original;
    if (field.substr(0, from.size()) == from && field.substr(from.size(), 1) == ".") {
      return std::string(to) + std::string(field.substr(from.size()));
    }
  }
  return "";
}

std::string translate(const std::map<std::string, std::string, std::less<>>& table, std::string_view name,
                      bool to_diffusers) {
  for (size_t dot = name.rfind('.'); dot != name.npos && dot > 0; dot = name.rfind('.', dot - 1)) {
    auto found = table.find(name.substr(0, dot));
    if (found == table.end()) continue;
    const std::string_view rest = name.substr(dot + 1);
    const std::string& diffusers = to_diffusers ? found->second : found->first;
    if (diffusers.find(".resnets.") == diffusers.npos) return found->second + "." + std::string(rest);
    const std::string field = resnet_field(rest, to_diffusers);
    return field.empty() ? "" : found->second + "." + field;
  }
  return "";
}

// "input_blocks.12.0.op.weight" of prefix "input_blocks." -> 12 and "0.op.weight"; -1 for other names.
std::pair<int, std::string_view> numbered(std::string_view name, std::string_view prefix) {
  if (name.substr(0, prefix.size()) != prefix) return {-1, {}};
  name.remove_prefix(prefix.size());
  int n = -1;
  auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), n);
  if (error != std::errc() || end == name.data() + name.size() || *end != '.') return {-1, {}};
  return {n, name.substr(static_cast<size_t>(end - name.data()) + 1)};
}

}  // namespace

UnetSkeleton UnetSkeleton::of_original(const std::vector<std::string>& names) {
  std::set<int> inputs, downs, outputs, ups, attended;
  for (const std::string& name : names) {
    if (auto [n, rest] = numbered(name, "input_blocks."); n > 0) {
      inputs.insert(n);
      if (rest.substr(0, 5) == "0.op.") downs.insert(n);
    }
    if (auto [n, rest] = numbered(name, "output_blocks."); n >= 0) {
      outputs.insert(n);
      if (rest.substr(1, 6) == ".conv.") ups.insert(n);
      if (rest.substr(0, 7) == "1.norm.") attended.insert(n);
    }
  }
  UnetSkeleton out;
  int blocks = 0;
  for (int n : inputs) {
    if (!downs.count(n)) {
      ++blocks;
    } else {
      out.down.push_back(std::exchange(blocks, 0));
    }
  }
  if (blocks > 0) out.down.push_back(std::exchange(blocks, 0));
  for (int n : outputs) {
    ++blocks;
    if (!ups.count(n) && n != *outputs.rbegin()) continue;
    out.up.push_back(std::exchange(blocks, 0));
    out.up_ends_in_attention.push_back(attended.count(n) > 0);
  }
  return out;
}

UnetNames::UnetNames(const UnetSkeleton& s) {
  for (const auto& [original, diffusers] : kEnds) add(std::string(original), std::string(diffusers));
  int n = 1;
  for (size_t level = 0; level < s.down.size(); ++level) {
    for (int i = 0; i < s.down[level]; ++i, ++n) {
      add(fmt::format("input_blocks.{}.0", n), fmt::format("down_blocks.{}.resnets.{}", level, i));
      add(fmt::format("input_blocks.{}.1", n), fmt::format("down_blocks.{}.attentions.{}", level, i));
    }
    if (level + 1 < s.down.size()) {
      add(fmt::format("input_blocks.{}.0.op", n++), fmt::format("down_blocks.{}.downsamplers.0.conv", level));
    }
  }
  n = 0;
  for (size_t level = 0; level < s.up.size(); ++level) {
    for (int i = 0; i < s.up[level]; ++i, ++n) {
      add(fmt::format("output_blocks.{}.0", n), fmt::format("up_blocks.{}.resnets.{}", level, i));
      add(fmt::format("output_blocks.{}.1", n), fmt::format("up_blocks.{}.attentions.{}", level, i));
    }
    add(fmt::format("output_blocks.{}.{}.conv", n - 1, s.up_ends_in_attention[level] ? 2 : 1),
        fmt::format("up_blocks.{}.upsamplers.0.conv", level));
  }
}

void UnetNames::add(const std::string& original, const std::string& diffusers) {
  to_diffusers_.emplace(original, diffusers);
  to_original_.emplace(diffusers, original);
}

std::string UnetNames::to_diffusers(std::string_view original) const {
  return translate(to_diffusers_, original, true);
}

std::string UnetNames::to_original(std::string_view diffusers) const {
  return translate(to_original_, diffusers, false);
}

}  // namespace hearth
