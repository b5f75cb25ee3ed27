// Names from clients as paths that stay inside a folder, whatever "..", absolute names, NULs or symbolic links say.
#pragma once
#include <filesystem>
#include <optional>
#include <string_view>

namespace hearth::server {

namespace fs = std::filesystem;

/// `root`/`name` with symbolic links resolved as far as it exists; nothing when that leaves `root`, or when `name` is
/// absolute, has a ".." part, a NUL or a part too long for a file name. "" is the root itself. The file need not exist.
std::optional<fs::path> contained_path(const fs::path& root, std::string_view name);

/// A file's name alone: not empty, no '/', not "." or "..", at most 250 bytes, no control characters.
bool is_plain_name(std::string_view name);

}  // namespace hearth::server
