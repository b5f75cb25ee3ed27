#include "runtime/generate/sampling_defaults.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fmt/format.h>

#include "core/base/log.h"
#include "formats/json/json.h"

namespace hearth {
namespace {

namespace fs = std::filesystem;

// The members of one object as numbers in a range.
class Reader {
 public:
  Reader(const Value& object, std::string place) : object_(object), place_(std::move(place)) {}

  void read(std::string_view key, double least, double most, std::optional<float>& to) const {
    if (auto number = find(key, least, most, false)) to = static_cast<float>(*number);
  }
  void read(std::string_view key, double least, double most, std::optional<int>& to) const {
    if (auto number = find(key, least, most, true)) to = std::max(0, static_cast<int>(*number));
  }

 private:
  std::optional<double> find(std::string_view key, double least, double most, bool is_whole) const {
    const Value* value = object_.find(key);
    if (!value || value->is_null()) return std::nullopt;
    const bool is_right = is_whole ? value->is_integer() : value->is_number();
    if (is_right && value->as_double() >= least && value->as_double() <= most) return value->as_double();
    log::warn("{}: {} is {}, expected a {} from {} to {}; going on without it", place_, key, json::write(*value),
              is_whole ? "whole number" : "number", least, most);
    return std::nullopt;
  }

  const Value& object_;
  std::string place_;
};

fs::path generation_config_path(const fs::path& folder) { return folder / "generation_config.json"; }

// Null when there is none, or none that can be read.
Value generation_config(const fs::path& folder) {
  const fs::path path = generation_config_path(folder);
  std::ifstream file(path, std::ios::binary);
  if (!file) return {};
  Result<Value> value = json::parse(std::string(std::istreambuf_iterator<char>(file), {}));
  if (value) return std::move(*value);
  log::warn("{}: {}; going on without it", path.string(), value.error().message());
  return {};
}

struct Keys {
  std::string_view temperature, top_k, top_p, min_p, repetition_penalty;
};
constexpr Keys kGgufKeys{"general.sampling.temp", "general.sampling.top_k", "general.sampling.top_p",
                         "general.sampling.min_p", "general.sampling.penalty_repeat"};
constexpr Keys kHuggingFaceKeys{"temperature", "top_k", "top_p", "min_p", "repetition_penalty"};

}  // namespace

SamplingOptions sampling_defaults(const Checkpoint& checkpoint) {
  const bool is_gguf = checkpoint.format == Checkpoint::Format::kGguf;
  const Value object = is_gguf ? checkpoint.config : generation_config(checkpoint.path);
  const Keys& keys = is_gguf ? kGgufKeys : kHuggingFaceKeys;
  const Reader reader(object, is_gguf ? checkpoint.path : generation_config_path(checkpoint.path).string());
  SamplingOptions out;
  reader.read(keys.temperature, 0, 100, out.temperature);
  reader.read(keys.top_k, -1, 1e6, out.top_k);
  reader.read(keys.top_p, 0, 1, out.top_p);
  reader.read(keys.min_p, 0, 1, out.min_p);
  reader.read(keys.repetition_penalty, 0.01, 10, out.repetition_penalty);
  return out;
}

SamplingOptions or_else(SamplingOptions first, const SamplingOptions& then) {
  auto fill = [](auto& to, const auto& from) {
    if (!to) to = from;
  };
  fill(first.temperature, then.temperature);
  fill(first.top_k, then.top_k);
  fill(first.top_p, then.top_p);
  fill(first.min_p, then.min_p);
  fill(first.typical_p, then.typical_p);
  fill(first.repetition_penalty, then.repetition_penalty);
  fill(first.presence_penalty, then.presence_penalty);
  fill(first.frequency_penalty, then.frequency_penalty);
  fill(first.seed, then.seed);
  return first;
}

}  // namespace hearth
