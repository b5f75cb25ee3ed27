// FileState: what tells a file's content from what was there earlier, without reading it.
#pragma once
#include <cstdint>
#include <string>

namespace hearth {

struct FileState {
  int64_t bytes = -1;  // -1: unknown
  int64_t changed_ns = 0;
  bool is_known() const { return bytes >= 0; }
  bool operator==(const FileState&) const = default;
};

/// Unknown for what is not there.
FileState file_state(const std::string& path);
FileState file_state(int descriptor);

}  // namespace hearth
