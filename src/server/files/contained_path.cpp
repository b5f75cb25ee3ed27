#include "server/files/contained_path.h"

#include <algorithm>

namespace hearth::server {
namespace {

constexpr size_t kMaxNameBytes = 250;  // 255, less what a temporary name adds

bool is_below(const fs::path& path, const fs::path& root) {
  const auto [at, rest] = std::mismatch(root.begin(), root.end(), path.begin(), path.end());
  return at == root.end();
}

fs::path without_trailing_slash(const fs::path& path) { return path.has_filename() ? path : path.parent_path(); }

}  // namespace

std::optional<fs::path> contained_path(const fs::path& root, std::string_view name) {
  const bool is_odd = name.find('\0') != name.npos || name.find('\\') != name.npos;
  const fs::path relative(name);
  if (is_odd || relative.is_absolute()) return std::nullopt;
  for (const fs::path& part : relative) {
    if (part == ".." || part.native().size() > kMaxNameBytes) return std::nullopt;
  }
  std::error_code failure;
  const fs::path base = without_trailing_slash(fs::weakly_canonical(root, failure));
  if (failure) return std::nullopt;
  const fs::path path = without_trailing_slash(fs::weakly_canonical(base / relative, failure));
  if (failure || !is_below(path, base)) return std::nullopt;
  return path;
}

bool is_plain_name(std::string_view name) {
  if (name.empty() || name.size() > kMaxNameBytes || name == "." || name == "..") return false;
  return std::none_of(name.begin(), name.end(), [](unsigned char c) { return c < 0x20 || c == '/' || c == 0x7f; });
}

}  // namespace hearth::server
