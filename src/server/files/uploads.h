// Uploads: files that clients bring, under the name they ask for or the next free one. Runs on the host pool; names are
// chosen one upload at a time.
#pragma once
#include <filesystem>
#include <mutex>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace hearth::server {

class Uploads {
 public:
  /// The path a file goes to: "name.png", or "name (1).png" and so on when another file has the name; a file of that
  /// name with the same bytes is taken as it is. `overwrite` replaces. Folders are made. Written under a temporary
  /// name, synced, renamed. kInvalidArgument when it would leave `root` or the name is none; kIo.
  Result<std::filesystem::path> store(const std::filesystem::path& root, std::string_view subfolder,
                                      std::string_view name, std::string_view bytes, bool overwrite);

 private:
  std::mutex mutex_;
};

}  // namespace hearth::server
