#include "machine/testing/recording.h"

#include <filesystem>
#include <fstream>

#include "core/base/check.h"

namespace hearth::machine::testing {

namespace {

namespace fs = std::filesystem;

// Makes `folder` hold links to what `source` holds.
void link_entries(const fs::path& source, const fs::path& folder) {
  fs::create_directories(folder);
  for (const fs::directory_entry& entry : fs::directory_iterator(source)) {
    fs::create_symlink(fs::absolute(entry.path()), folder / entry.path().filename());
  }
}

}  // namespace

Recording::Recording(const std::string& folder) { link_entries(folder, folder_.path()); }

// Folders on the way that are links become folders of links, so that the machine that was copied stays as it is.
std::string Recording::own(const std::string& path) {
  fs::path here = folder_.path();
  for (const fs::path& part : fs::path(path).relative_path().parent_path()) {
    here /= part;
    if (!fs::is_symlink(here)) continue;
    const fs::path source = fs::read_symlink(here);
    fs::remove(here);
    link_entries(source, here);
  }
  fs::create_directories(here);
  return (here / fs::path(path).filename()).string();
}

void Recording::put(const std::string& path, const std::string& text) {
  const std::string file = own(path);
  fs::remove(file);
  std::ofstream(file) << text;
}

void Recording::put_link(const std::string& path, const std::string& target) { fs::create_symlink(target, own(path)); }

void Recording::remove(const std::string& path) { fs::remove_all(own(path)); }

void Recording::forget(const Command& command) { remove("/tools/" + tool_file(command)); }

void Recording::change(const std::string& path, const std::string& from, const std::string& to) {
  std::string text = root().text(path).value_or("");
  const size_t at = text.find(from);
  check(at != text.npos, path + " does not hold \"" + from + "\"");
  put(path, text.replace(at, from.size(), to));
}

void Recording::answer(const Command& command, const std::string& text, int exit_status) {
  put("/tools/" + tool_file(command), "exit " + std::to_string(exit_status) + "\n" + text);
}

}  // namespace hearth::machine::testing
