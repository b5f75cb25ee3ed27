#include "core/testing/temp_folder.h"

#include <cstdlib>
#include <filesystem>

#include "core/base/error.h"

namespace hearth::testing {

TempFolder::TempFolder() {
  std::string path = (std::filesystem::temp_directory_path() / "hearth-test-XXXXXX").string();
  if (!::mkdtemp(path.data())) throw Error(Code::kIo, "cannot make a folder like " + path);
  path_ = path;
}

TempFolder::~TempFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

}  // namespace hearth::testing
