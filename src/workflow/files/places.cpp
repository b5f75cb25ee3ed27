#include "workflow/files/places.h"

#include <filesystem>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace hearth::workflow {

namespace fs = std::filesystem;

namespace {

// Whether `path` is below `root` once links are followed; the root itself may be one.
bool stays_below(const std::string& root, const std::string& path) {
  std::error_code failure, other;
  const fs::path base = fs::weakly_canonical(root, failure), real = fs::weakly_canonical(path, other);
  if (failure || other) return false;
  const fs::path relative = real.lexically_relative(base);
  return !relative.empty() && *relative.begin() != "..";
}

}  // namespace

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
  if (!path || !stays_below(*root, *path)) {
    return unexpected(Code::kInvalidArgument,
                      fmt::format("'{}' is no file name below the input, output or temp folder", name));
  }
  return *path;
}

Result<std::string> Places::default_checkpoint() const {
  std::vector<std::string> theirs, ours;
  for (const ModelFolders::File& file : models.files("checkpoints")) {
    (file.is_shipped ? ours : theirs).push_back(file.name);
  }
  const std::vector<std::string>& among = theirs.empty() ? ours : theirs;
  if (among.empty()) {
    return unexpected(Code::kNotFound, fmt::format("no picture model is installed: put a checkpoint into {}, or set "
                                                   "pictures.comfyui_dir to a ComfyUI folder",
                                                   models.folders("checkpoints").front()));
  }
  if (among.size() == 1) return among.front();
  return unexpected(Code::kInvalidArgument, fmt::format("which model? name one, or set pictures.default_model: {}",
                                                        fmt::join(among, ", ")));
}

}  // namespace hearth::workflow
