// UserFiles: what ComfyUI's frontend keeps for its user: settings and files such as workflows, below one folder. Runs
// on the host pool; changes are made one at a time. No user name: there is one user.
#pragma once
#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "core/base/result.h"
#include "core/base/value.h"

namespace hearth::server {

class UserFiles {
 public:
  explicit UserFiles(std::filesystem::path root) : root_(std::move(root)) {}

  /// An empty object when there are none or they cannot be read.
  Value settings();
  Result<void> merge_settings(const Value& changes);

  /// Nothing when it would leave the folder.
  std::optional<std::filesystem::path> path(std::string_view name) const;
  /// Relative to the user's folder, with '/'.
  std::string relative(const std::filesystem::path& path) const;
  /// {path, size, modified, created} of one file; `shown` is the path it goes by. Times in ms.
  static Value info(const std::filesystem::path& path, std::string_view shown);

  /// Files below `folder`, relative to it, sorted.
  std::vector<std::string> list(const std::filesystem::path& folder, bool recurse) const;
  /// GET /v2/userdata: files and folders below `folder`: folders first, then by name.
  Value tree(const std::filesystem::path& folder) const;

  /// Atomic. False: it exists and may not be replaced.
  Result<bool> write(const std::filesystem::path& path, std::string_view bytes, bool overwrite);
  Result<bool> move(const std::filesystem::path& from, const std::filesystem::path& to, bool overwrite);

  const std::filesystem::path& root() const { return root_; }

 private:
  Value read_settings() const;
  const std::filesystem::path root_;
  std::mutex mutex_;
};

}  // namespace hearth::server
