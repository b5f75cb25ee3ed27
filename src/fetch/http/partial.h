// A download on its way: TARGET.part and TARGET.part.json, which says what the part is a part of (address, entity tag,
// whole size). TARGET itself appears only through commit(): hashed, synced, renamed. Anything that does not fit
// together is thrown away at open, so a part is never joined with bytes of another file.
#pragma once
#include <cstdint>
#include <string>

#include "core/base/result.h"
#include "core/base/files.h"
#include "fetch/sha256.h"

namespace hearth::fetch {

class Partial {
 public:
  /// Opens what an earlier attempt left of `url`, or an empty part. Its bytes are read once, for the hash.
  static Result<Partial> open(const fs::path& target, const std::string& url);

  int64_t size() const { return file_.size(); }
  /// As the server gave them when the part began; "" and -1 when it did not.
  const std::string& etag() const { return etag_; }
  int64_t total() const { return total_; }
  bool was_found() const { return was_found_; }  // holds bytes of an earlier process

  /// Throws the bytes away and notes what the part will now be a part of.
  Result<void> restart(std::string etag, int64_t total);
  Result<void> write(const char* bytes, size_t size);

  /// Makes the part the target. kCorruptFile when the hash is another than `sha256` ("" accepts any): the part is then
  /// deleted. Returns the digest.
  Result<std::string> commit(const std::string& sha256);
  void remove();

 private:
  Partial(fs::path target, std::string url, OutFile file)
      : target_(std::move(target)), url_(std::move(url)), file_(std::move(file)) {}
  Result<bool> adopt();

  fs::path target_;
  std::string url_;
  OutFile file_;
  Sha256 hash_;
  std::string etag_;
  int64_t total_ = -1;
  bool was_found_ = false;
};

}  // namespace hearth::fetch
