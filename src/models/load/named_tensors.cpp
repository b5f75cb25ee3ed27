#include "models/load/named_tensors.h"

#include <fmt/format.h>

#include "core/base/error.h"

namespace hearth {
namespace {

constexpr int64_t kMaxDim = int64_t{1} << 28;

}  // namespace

NamedTensors::NamedTensors(std::shared_ptr<const TensorFile> file) : file_(std::move(file)) {}

Located NamedTensors::find(std::string_view name) const {
  auto found = table_.find(name);
  return found == table_.end() ? Located{} : found->second;
}

Located NamedTensors::require(std::string_view name) const {
  if (Located found = find(name)) return found;
  throw Error(Code::kCorruptFile, fmt::format("{}: tensor '{}' is missing", path(), name_in_file(name)));
}

bool NamedTensors::has_prefix(std::string_view prefix) const {
  auto found = table_.lower_bound(prefix);
  return found != table_.end() && found->first.compare(0, prefix.size(), prefix) == 0;
}

int NamedTensors::count(const std::string& prefix) const {
  int n = 0;
  while (has_prefix(prefix + std::to_string(n) + ".")) ++n;
  return n;
}

int NamedTensors::rank(std::string_view name) const { return static_cast<int>(require(name).shape().size()); }

int NamedTensors::dim(std::string_view name, int axis) const {
  const Located at = require(name);
  const std::vector<int64_t> shape = at.shape();
  const auto i = static_cast<size_t>(axis);
  if (i >= shape.size() || shape[i] <= 0 || shape[i] > kMaxDim) {
    throw Error(Code::kCorruptFile, fmt::format("{}: tensor '{}' is {}, wanted at least {} axes, none of them empty",
                                                path(), at.tensor->name, describe(shape), axis + 1));
  }
  return static_cast<int>(shape[i]);
}

}  // namespace hearth
