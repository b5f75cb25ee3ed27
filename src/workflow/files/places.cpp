#include "workflow/files/places.h"

#include <filesystem>

#include <fmt/format.h>

namespace hearth::workflow {

namespace fs = std::filesystem;

std::optional<std::string> path_below(const std::string& root, std::string_view name) {
  if (name.empty() || name.find('\0') != std::string_view::npos || fs::path(name).is_absolute()) return std::nullopt;
  fs::path plain = fs::path(name).lexically_normal();
  if (plain.empty() || *plain.begin() == "..") return std::nullopt;
  return (fs::path(root) / plain).lexically_normal().string();
}

const std::string* Places::folder(std::string_view type) const {
  if (type == "output") return &output;
  if (type == "input") return &input;
  return type == "temp" ? &temp : nullptr;
}

Result<std::string> Places::annotated_path(std::string_view name) const {
  const std::string* root = &input;
  for (std::string_view type : {"output", "input", "temp"}) {
    std::string suffix = fmt::format(" [{}]", type);
    if (!name.ends_with(suffix)) continue;
    root = folder(type);
    name.remove_suffix(suffix.size());
    break;
  }
  std::optional<std::string> path = path_below(*root, name);
  if (!path) {
    return unexpected(Code::kInvalidArgument,
                      fmt::format("'{}' is no file name below the input, output or temp folder", name));
  }
  return *path;
}

}  // namespace hearth::workflow
