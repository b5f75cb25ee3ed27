// The architectures: name in the checkpoint -> bind function. A new model is a new file and one line here.
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "models/lm/architectures.h"
#include "models/load/weights.h"

namespace hearth {
namespace {

struct Entry {
  std::string_view architecture;
  std::unique_ptr<LanguageModel> (*bind)(Weights&, const LmConfig&);
};

constexpr Entry kArchitectures[] = {
    {"llama", bind_llama},         {"mistral", bind_llama},
    {"qwen2", bind_llama},         {"qwen3", bind_qwen3},
    {"gemma3", bind_gemma3},       {"gemma3_text", bind_gemma3},
};

}  // namespace

std::vector<std::string> language_architectures() {
  std::vector<std::string> names;
  for (const Entry& entry : kArchitectures) names.emplace_back(entry.architecture);
  return names;
}

std::unique_ptr<LanguageModel> bind_language_model(Weights& weights) {
  std::string wanted = weights.checkpoint().architecture();
  for (const Entry& entry : kArchitectures) {
    if (entry.architecture == wanted) return entry.bind(weights, LmConfig::from(weights.checkpoint()));
  }
  throw Error(Code::kUnsupported, fmt::format("{}: architecture '{}' is not supported; this build knows {}",
                                              weights.checkpoint().path, wanted,
                                              fmt::join(language_architectures(), ", ")));
}

StateSpec make_state_spec(const LmConfig& f) {
  StateSpec spec;
  spec.kv_heads = f.kv_heads;
  spec.head_dim = f.head_dim;
  auto group = [&](StateKind kind, int window) {
    for (size_t g = 0; g < spec.groups.size(); ++g) {
      if (spec.groups[g].kind == kind) return static_cast<int>(g);
    }
    spec.groups.push_back({kind, window});
    return static_cast<int>(spec.groups.size()) - 1;
  };
  for (int i = 0; i < f.layers; ++i) {
    spec.group_of_layer.push_back(f.is_window_layer[i] ? group(StateKind::kWindowPages, f.window)
                                                       : group(StateKind::kFullPages, 0));
  }
  return spec;
}

}  // namespace hearth
