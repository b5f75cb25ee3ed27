#include "server/files/user_files.h"

#include <sys/stat.h>

#include <algorithm>
#include <vector>

#include "core/base/files.h"
#include "core/base/log.h"
#include "formats/json/json.h"
#include "server/files/contained_path.h"

namespace hearth::server {
namespace {

constexpr int64_t kMaxSettingsBytes = 64 << 20;
constexpr const char* kSettings = "comfy.settings.json";

int64_t to_ms(const timespec& time) { return time.tv_sec * 1000 + time.tv_nsec / 1'000'000; }

struct stat state_of(const fs::path& path) {
  struct stat out{};
  if (::stat(path.c_str(), &out) != 0) out = {};
  return out;
}

}  // namespace

Value UserFiles::read_settings() const {
  auto text = read_text(root_ / kSettings, kMaxSettingsBytes);
  if (!text) return Value::object();
  auto parsed = json::parse(*text);
  if (parsed && parsed->is_object()) return std::move(*parsed);
  log::warn("{} cannot be read: it counts as empty", (root_ / kSettings).string());
  return Value::object();
}

Value UserFiles::settings() {
  std::lock_guard lock(mutex_);
  return read_settings();
}

Result<void> UserFiles::merge_settings(const Value& changes) {
  std::lock_guard lock(mutex_);
  Value merged = read_settings();
  for (const auto& [name, value] : changes.as_object()) merged.set(name, value);
  if (auto made = make_folders(root_); !made) return made;
  return write_text(root_ / kSettings, json::write(merged, {.indent = 4}));
}

std::optional<fs::path> UserFiles::path(std::string_view name) const {
  auto out = contained_path(root_, name);
  if (!out || *out == contained_path(root_, "")) return std::nullopt;
  return out;
}

std::string UserFiles::relative(const fs::path& path) const {
  const auto base = contained_path(root_, "");
  return path.lexically_relative(base.value_or(root_)).generic_string();
}

Value UserFiles::info(const fs::path& path, std::string_view shown) {
  const struct stat state = state_of(path);
  return Value::object({{"path", shown},
                        {"size", static_cast<int64_t>(state.st_size)},
                        {"modified", to_ms(state.st_mtim)},
                        {"created", to_ms(state.st_ctim)}});
}

std::vector<std::string> UserFiles::list(const fs::path& folder, bool recurse) const {
  std::vector<std::string> out;
  std::error_code failure;
  fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, failure), end;
  while (!failure && entry != end) {
    if (!recurse) entry.disable_recursion_pending();
    if (entry->is_regular_file(failure)) out.push_back(entry->path().lexically_relative(folder).generic_string());
    failure.clear();
    entry.increment(failure);
  }
  std::sort(out.begin(), out.end());
  return out;
}

Value UserFiles::tree(const fs::path& folder) const {
  std::vector<fs::directory_entry> entries;
  std::error_code failure;
  fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, failure), end;
  for (; !failure && entry != end; entry.increment(failure)) entries.push_back(*entry);
  std::sort(entries.begin(), entries.end(), [](const fs::directory_entry& a, const fs::directory_entry& b) {
    return std::pair(!a.is_directory(), a.path().filename()) < std::pair(!b.is_directory(), b.path().filename());
  });
  Value out = Value::list();
  for (const fs::directory_entry& found : entries) {
    Value item = Value::object({{"name", found.path().filename().string()},
                                {"path", relative(found.path())},
                                {"type", found.is_directory() ? "directory" : "file"}});
    if (!found.is_directory()) {
      const struct stat state = state_of(found.path());
      item.set("size", static_cast<int64_t>(state.st_size));
      item.set("modified", static_cast<double>(to_ms(state.st_mtim)) / 1e3);
    }
    out.push(std::move(item));
  }
  return out;
}

Result<bool> UserFiles::write(const fs::path& path, std::string_view bytes, bool overwrite) {
  std::lock_guard lock(mutex_);
  if (!overwrite && fs::exists(path)) return false;
  if (auto made = make_folders(path.parent_path()); !made) return unexpected(made.error());
  if (auto written = write_text(path, bytes); !written) return unexpected(written.error());
  return true;
}

Result<bool> UserFiles::move(const fs::path& from, const fs::path& to, bool overwrite) {
  std::lock_guard lock(mutex_);
  if (!overwrite && fs::exists(to)) return false;
  if (auto made = make_folders(to.parent_path()); !made) return unexpected(made.error());
  if (auto moved = rename_durably(from, to); !moved) return unexpected(moved.error());
  return true;
}

}  // namespace hearth::server
