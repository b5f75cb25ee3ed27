// Recording: a recorded machine under construction, for tests that state a machine in a few lines.
#pragma once
#include <string>

#include "core/testing/temp_folder.h"
#include "machine/root.h"

namespace hearth::machine::testing {

class Recording {
 public:
  /// A file by its absolute path on that machine.
  void put(const std::string& path, const std::string& text);
  /// What a tool answers there.
  void answer(const Command& command, const std::string& text, int exit_status = 0);
  Root root() const { return Root(folder_.path()); }

 private:
  hearth::testing::TempFolder folder_;
};

}  // namespace hearth::machine::testing
