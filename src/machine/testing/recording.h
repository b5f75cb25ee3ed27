// Recording: a recorded machine under construction, for tests that state a machine in a few lines.
#pragma once
#include <string>

#include "core/testing/temp_folder.h"
#include "machine/root.h"

namespace hearth::machine::testing {

class Recording {
 public:
  /// A machine of which nothing is known.
  Recording() = default;
  /// A copy of a recorded machine, to be changed.
  explicit Recording(const std::string& folder);
  /// A file by its absolute path on that machine.
  void put(const std::string& path, const std::string& text);
  /// A link, to what lies beside it.
  void put_link(const std::string& path, const std::string& target);
  /// Takes a file, a folder or a tool's answer away.
  void remove(const std::string& path);
  void forget(const Command& command);
  /// Replaces one text in a file; the file must hold it.
  void change(const std::string& path, const std::string& from, const std::string& to);
  /// What a tool answers there.
  void answer(const Command& command, const std::string& text, int exit_status = 0);
  Root root() const { return Root(folder_.path()); }

 private:
  std::string own(const std::string& path);

  hearth::testing::TempFolder folder_;
};

}  // namespace hearth::machine::testing
