#include "machine/testing/recording.h"

#include <filesystem>
#include <fstream>

namespace hearth::machine::testing {

void Recording::put(const std::string& path, const std::string& text) {
  const std::filesystem::path file = folder_.path() + path;
  std::filesystem::create_directories(file.parent_path());
  std::ofstream(file) << text;
}

void Recording::answer(const Command& command, const std::string& text, int exit_status) {
  put("/tools/" + tool_file(command), "exit " + std::to_string(exit_status) + "\n" + text);
}

}  // namespace hearth::machine::testing
