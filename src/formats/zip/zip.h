// Reads zip archives (stored and deflated entries, zip64), as Python wheels and torch checkpoints are. The directory is
// read and validated at open: every name is a plain relative path, no two entries share bytes, every size is possible.
// Entries stream out with their CRC checked, never more bytes than the directory promised. No encryption, no other
// compression.
// Lifetime: an Archive holds the file open; entries are values. Threads: extract() may run from several threads.
#pragma once
#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "core/base/files.h"
#include "core/base/result.h"
#include "core/base/units.h"

namespace hearth::zip {

struct Limits {
  int64_t max_entries = 100'000;
  int64_t max_directory_bytes = 64 * MiB;
  int64_t max_total_bytes = int64_t{4} << 40;  // sum of all unpacked sizes
};

struct Entry {
  std::string name;  // '/' between folders; folders themselves are left out
  int64_t packed_bytes = 0;
  int64_t bytes = 0;
  uint32_t crc = 0;
  int method = 0;  // 0 stored, 8 deflated
  int64_t header_offset = 0;
};

/// Receives unpacked bytes; an error ends the extraction and is returned by it.
using Sink = std::function<Result<void>(const char* bytes, size_t size)>;

class Archive {
 public:
  /// kCorruptFile (not a zip, truncated, names that leave the folder, overlapping entries, impossible sizes),
  /// kUnsupported (encrypted, other methods, over several disks).
  static Result<Archive> open(const fs::path& path, Limits limits = {});

  const fs::path& path() const { return file_.path(); }
  const std::vector<Entry>& entries() const { return entries_; }
  /// nullptr when there is none of this name.
  const Entry* find(std::string_view name) const;

  /// Unpacks one entry into `sink`. kCorruptFile on a bad CRC, a wrong size or broken compressed bytes: what the sink
  /// got before is then worthless.
  Result<void> extract(const Entry& entry, const Sink& sink) const;
  /// A small entry as text; kCorruptFile above `limit` bytes.
  Result<std::string> read_text(const Entry& entry, int64_t limit) const;
  /// Where the packed bytes of an entry begin in the file; kCorruptFile when its own header disagrees with the
  /// directory. The bytes of a stored entry can be read from there without the archive.
  Result<int64_t> data_offset(const Entry& entry) const;

 private:
  explicit Archive(InFile file) : file_(std::move(file)) {}
  Result<void> read_directory(const Limits& limits);
  Result<void> check_layout(const Limits& limits) const;
  Unexpected broken(std::string_view what) const;
  Unexpected too_much(const Limits& limits) const;

  InFile file_;
  std::vector<Entry> entries_;
};

}  // namespace hearth::zip
