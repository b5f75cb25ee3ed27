// TempFolder: a new folder under the system's temporary one, removed with everything in it when this goes away.
#pragma once
#include <string>

namespace hearth::testing {

class TempFolder {
 public:
  TempFolder();
  ~TempFolder();
  TempFolder(const TempFolder&) = delete;
  const std::string& path() const { return path_; }
  std::string path(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

}  // namespace hearth::testing
