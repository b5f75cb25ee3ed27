#include "models/vae/names.h"

#include <charconv>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace hearth {
namespace {

using Pair = std::pair<std::string_view, std::string_view>;

constexpr Pair kAttention[] = {
    {"norm", "group_norm"},    {"q", "to_q"},     {"k", "to_k"},   {"v", "to_v"},
    {"proj_out", "to_out.0"},  {"query", "to_q"}, {"key", "to_k"}, {"value", "to_v"},
    {"proj_attn", "to_out.0"},
};

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  for (size_t dot; (dot = text.find('.')) != text.npos; text.remove_prefix(dot + 1))
    parts.emplace_back(text.substr(0, dot));
  parts.emplace_back(text);
  return parts;
}

std::optional<int> number(std::string_view text) {
  int n = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  return error == std::errc() && end == text.data() + text.size() && n >= 0 ? std::optional(n) : std::nullopt;
}

std::string attention_field(std::string_view field) {
  for (const auto& [from, to] : kAttention) {
    if (from == field) return std::string(to);
  }
  return std::string(field);
}

std::string joined(const std::vector<std::string>& parts, size_t first) {
  return fmt::format("{}",
                     fmt::join(parts.begin() + static_cast<int64_t>(std::min(first, parts.size())), parts.end(), "."));
}

std::string field_name(std::string field) {
  constexpr std::string_view kSkip = "nin_shortcut.";
  return field.compare(0, kSkip.size(), kSkip) == 0 ? "conv_shortcut." + field.substr(kSkip.size()) : field;
}

// {"encoder", "mid", "attn_1", "q", "weight"}
std::string middle_name(const std::vector<std::string>& p) {
  if (p[2].compare(0, 6, "block_") == 0) {
    if (auto n = number(p[2].substr(6)); n && *n > 0) {
      return fmt::format("{}.mid_block.resnets.{}.{}", p[0], *n - 1, field_name(joined(p, 3)));
    }
  }
  if (p[2] == "attn_1" && p.size() > 4) {
    return fmt::format("{}.mid_block.attentions.0.{}.{}", p[0], attention_field(p[3]), joined(p, 4));
  }
  return joined(p, 0);
}

// {"decoder", "up", "3", "block", "0", "conv1", "weight"}
std::string level_name(const std::vector<std::string>& p, int n_up) {
  const bool is_up = p[1] == "up";
  const std::optional<int> level = number(p[2]);
  if (!level) return joined(p, 0);
  const std::string block =
      is_up ? fmt::format("{}.up_blocks.{}", p[0], n_up - 1 - *level) : fmt::format("{}.down_blocks.{}", p[0], *level);
  if (p[3] == "block") return fmt::format("{}.resnets.{}.{}", block, p[4], field_name(joined(p, 5)));
  if (p[3] == "upsample") return fmt::format("{}.upsamplers.0.{}", block, joined(p, 4));
  if (p[3] == "downsample") return fmt::format("{}.downsamplers.0.{}", block, joined(p, 4));
  return joined(p, 0);
}

}  // namespace

std::string vae_name(std::string_view name, int n_up) {
  const std::vector<std::string> p = split(name);
  if (p.size() < 3 || (p[0] != "encoder" && p[0] != "decoder")) return std::string(name);
  if (p[1] == "norm_out") return fmt::format("{}.conv_norm_out.{}", p[0], joined(p, 2));
  if (p[1] == "mid" && p.size() > 3) return middle_name(p);
  if ((p[1] == "up" || p[1] == "down") && p.size() > 5) return level_name(p, n_up);
  if (p[1] == "mid_block" && p[2] == "attentions" && p.size() > 5) {
    const size_t rest = p[4] == "to_out" ? 6 : 5;  // "to_out.0"
    return fmt::format("{}.mid_block.attentions.{}.{}.{}", p[0], p[3],
                       p[4] == "to_out" ? "to_out.0" : attention_field(p[4]), joined(p, rest));
  }
  return std::string(name);
}

std::string tiny_vae_name(std::string_view name, std::string_view half) {
  std::vector<std::string> p = split(name);
  for (const char* side : {"encoder", "decoder"}) {
    const bool is_decoder = std::string_view(side) == "decoder";
    if (p[0] == std::string("taesd_") + side && p.size() > 2 && number(p[1]))
      return fmt::format("{}.{}", side, joined(p, 1));
    if (p[0] == side && p.size() > 3 && p[1] == "layers") {
      // The original counts the decoder's clamp.
      if (auto n = number(p[2])) return fmt::format("{}.{}.{}", side, *n + is_decoder, joined(p, 3));
    }
  }
  return !half.empty() && p.size() > 1 && number(p[0]) ? fmt::format("{}.{}", half, name) : "";
}

}  // namespace hearth
