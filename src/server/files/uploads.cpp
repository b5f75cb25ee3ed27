#include "server/files/uploads.h"

#include <fmt/format.h>

#include "core/base/files.h"
#include "server/files/contained_path.h"

namespace hearth::server {
namespace {

constexpr int kMaxTries = 100'000;

bool has_content(const fs::path& file, std::string_view bytes) {
  std::error_code failure;
  if (fs::file_size(file, failure) != bytes.size() || failure) return false;
  auto content = read_text(file, static_cast<int64_t>(bytes.size()));
  return content && *content == bytes;
}

}  // namespace

Result<fs::path> Uploads::store(const fs::path& root, std::string_view subfolder, std::string_view name,
                                std::string_view bytes, bool overwrite) {
  const fs::path wanted = fs::path(subfolder) / fs::path(name);
  auto path = contained_path(root, wanted.native());
  if (name.empty() || !path || !is_plain_name(path->filename().native()) || wanted.filename().empty()) {
    return unexpected(Code::kInvalidArgument, "the file's name leads outside of its folder, or is none");
  }
  std::lock_guard lock(mutex_);
  if (auto made = make_folders(path->parent_path()); !made) return unexpected(made.error());
  if (fs::is_directory(*path)) return unexpected(Code::kInvalidArgument, "a folder has that name");
  const std::string stem = path->stem().string(), extension = path->extension().string();
  for (int i = 1; !overwrite && fs::exists(*path); ++i) {
    if (has_content(*path, bytes)) return *path;
    if (i > kMaxTries) return unexpected(Code::kInvalidArgument, "too many files have that name: choose another");
    path->replace_filename(fmt::format("{} ({}){}", stem, i, extension));
  }
  if (auto written = write_text(*path, bytes); !written) return unexpected(written.error());
  return *path;
}

}  // namespace hearth::server
