#include "models/diffusion/unet_config.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"
#include "formats/json/json.h"

namespace hearth {
namespace {

constexpr int kSd1Heads = 8;
constexpr int kHeadChannels = 64;

// A field of config.json, or the same text in a single file's metadata; null when nobody says.
Value setting(const Value& config, const Value& metadata, const std::string& key) {
  if (const Value* found = config.find(key)) return *found;
  const Value* text = metadata.find("unet." + key);
  if (!text || !text->is_string()) return {};
  Result<Value> parsed = json::parse(text->as_string());
  if (!parsed) {
    throw Error(Code::kCorruptFile, fmt::format("metadata 'unet.{}' is '{}', wanted a number or a list of numbers", key,
                                                text->as_string()));
  }
  return *parsed;
}

UnetConfig::Level level_of(const NamedTensors& t, const std::string& block, UnetConfig& out) {
  UnetConfig::Level level;
  const int n = t.count(block + ".resnets.");
  if (n == 0) throw Error(Code::kCorruptFile, fmt::format("{}: '{}' has no residual blocks", t.path(), block));
  level.channels = t.dim(block + ".resnets.0.conv1.weight", 0);
  for (int i = 0; i < n; ++i) {
    const std::string attention = fmt::format("{}.attentions.{}.", block, i);
    level.depth.push_back(t.count(attention + "transformer_blocks."));
    if (level.depth.back() == 0) continue;
    out.has_conv_projections = t.rank(attention + "proj_in.weight") == 4;
    out.context_dim = t.dim(attention + "transformer_blocks.0.attn2.to_k.weight", 1);
  }
  return level;
}

// Heads of a resolution: `said` is what config.json has for attention_head_dim.
int heads_of(const NamedTensors& t, const Value& said, size_t level, int channels, const UnetConfig& f) {
  int64_t heads = f.has_conv_projections ? kSd1Heads : std::max(channels / kHeadChannels, 1);
  if (said.is_integer()) heads = said.as_int();
  if (said.is_list() && level < said.size() && said.as_list()[level].is_integer()) {
    heads = said.as_list()[level].as_int();
  }
  if (heads <= 0 || channels % heads != 0) {
    throw Error(
        Code::kUnsupported,
        fmt::format("{}: {} channels do not make {} heads of attention; say how many there are in config.json's "
                    "attention_head_dim or the metadata's unet.attention_head_dim",
                    t.path(), channels, heads));
  }
  return static_cast<int>(heads);
}

void set_heads(const NamedTensors& t, const Value& said, UnetConfig& f) {
  for (size_t i = 0; i < f.down.size(); ++i) {
    auto attends = [](const UnetConfig::Level& level) {
      return std::any_of(level.depth.begin(), level.depth.end(), [](int depth) { return depth > 0; });
    };
    if (attends(f.down[i])) f.down[i].heads = heads_of(t, said, i, f.down[i].channels, f);
    UnetConfig::Level& up = f.up[f.up.size() - 1 - i];
    if (attends(up)) up.heads = heads_of(t, said, i, up.channels, f);
  }
  if (f.middle_depth > 0) f.middle_heads = heads_of(t, said, f.down.size() - 1, f.down.back().channels, f);
}

void set_groups(const NamedTensors& t, const Value& said, UnetConfig& f) {
  if (said.is_integer() && said.as_int() > 0 && said.as_int() <= f.channels) f.groups = static_cast<int>(said.as_int());
  for (const auto* side : {&f.down, &f.up}) {
    for (const UnetConfig::Level& level : *side) {
      if (level.channels % f.groups == 0) continue;
      throw Error(Code::kUnsupported,
                  fmt::format("{}: {} channels do not make {} groups; say how many there are in config.json's "
                              "norm_num_groups or the metadata's unet.norm_num_groups",
                              t.path(), level.channels, f.groups));
    }
  }
}

void refuse_what_is_not_done(const NamedTensors& t) {
  for (const auto& [name, at] : t.table()) {
    for (const char* part : {"time_stack", "time_mix", "motion_modules", "temporal"}) {
      if (name.find(part) == name.npos) continue;
      throw Error(Code::kUnsupported,
                  fmt::format("{}: '{}' belongs to a model of moving pictures, which this build does "
                              "not run",
                              t.path(), at.tensor->name));
    }
  }
}

}  // namespace

UnetConfig UnetConfig::of(const NamedTensors& t, const Value& config, const Value& metadata) {
  refuse_what_is_not_done(t);
  UnetConfig f;
  f.channels = t.dim("conv_in.weight", 0);
  f.in_channels = t.dim("conv_in.weight", 1);
  f.out_channels = t.dim("conv_out.weight", 0);
  f.time_dim = t.dim("time_embedding.linear_1.weight", 0);
  if (t.has("add_embedding.linear_1.weight")) f.adm_dim = t.dim("add_embedding.linear_1.weight", 1);
  const int n = t.count("down_blocks."), n_up = t.count("up_blocks.");
  if (n == 0 || n != n_up) {
    throw Error(Code::kCorruptFile,
                fmt::format("{}: a UNet has as many resolutions up as down, got {} down and {} up", t.path(), n, n_up));
  }
  for (int i = 0; i < n; ++i) f.down.push_back(level_of(t, fmt::format("down_blocks.{}", i), f));
  for (int i = 0; i < n; ++i) f.up.push_back(level_of(t, fmt::format("up_blocks.{}", i), f));
  f.has_middle = t.has_prefix("mid_block.resnets.0.");
  f.middle_depth = t.count("mid_block.attentions.0.transformer_blocks.");
  f.has_middle_tail = t.has_prefix("mid_block.resnets.1.");
  if (f.middle_depth > 0) f.context_dim = t.dim("mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight", 1);
  set_heads(t, setting(config, metadata, "attention_head_dim"), f);
  set_groups(t, setting(config, metadata, "norm_num_groups"), f);
  return f;
}

UnetSkeleton UnetConfig::skeleton() const {
  UnetSkeleton out;
  for (const Level& level : down) out.down.push_back(static_cast<int>(level.depth.size()));
  for (const Level& level : up) {
    out.up.push_back(static_cast<int>(level.depth.size()));
    out.up_ends_in_attention.push_back(level.depth.back() > 0);
  }
  return out;
}

}  // namespace hearth
