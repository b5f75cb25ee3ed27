#include "formats/file_state.h"

#include <sys/stat.h>

namespace hearth {
namespace {

FileState state_of(const struct stat& found) {
  constexpr int64_t kSecond = 1'000'000'000;
  return {found.st_size, found.st_mtim.tv_sec * kSecond + found.st_mtim.tv_nsec};
}

}  // namespace

FileState file_state(const std::string& path) {
  struct stat found {};
  return ::stat(path.c_str(), &found) == 0 ? state_of(found) : FileState{};
}

FileState file_state(int descriptor) {
  struct stat found {};
  return ::fstat(descriptor, &found) == 0 ? state_of(found) : FileState{};
}

}  // namespace hearth
