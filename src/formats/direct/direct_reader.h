// DirectReader: runs of bytes out of large files at the speed of the disk, past the page cache. Reads are aligned,
// large, many at once and land in a ring of buffers of fixed size; what a run holds is handed to a pool's threads as
// soon as it is there, in any order. A file system without O_DIRECT is read through the page cache, which is emptied
// behind. On request files are mapped instead and the page cache keeps them. One caller; a file that is cut short or
// changes meanwhile is an error.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "core/base/files.h"
#include "core/device/thread_pool.h"
#include "formats/direct/read_queue.h"
#include "formats/file_state.h"

namespace hearth {

/// A run of bytes of one of the files.
struct Extent {
  int file = 0;
  int64_t offset = 0, bytes = 0;
  bool operator==(const Extent&) const = default;
};

struct ReadOptions {
  int64_t block_bytes = 4 << 20;  // of one read; a multiple of 4 KiB
  int depth = 32;                 // reads under way at once
  int spare = 0;                  // blocks beside, which are used while the disk goes on
  bool is_direct = true;          // past the page cache where the file system can
  bool uses_uring = true;         // where the kernel lets us
  bool is_mapped = false;         // through the page cache, which keeps what was read; without a ring

  int blocks() const { return depth + spare; }
  /// Of the ring: its blocks and what alignment adds to each.
  int64_t ring_bytes() const { return is_mapped ? 0 : blocks() * (block_bytes + kSlack); }
  static constexpr int64_t kSlack = 8 << 10;
  /// The same with a ring of at most `bytes`: fewer blocks, a third of them spare, and smaller ones where not even two
  /// fit.
  ReadOptions within(int64_t bytes) const;
};

class DirectReader {
 public:
  /// `ring` is memory for it, aligned to 4096 bytes, borrowed for as long; empty or too small: it takes its own.
  /// Throws Error{kIo} naming a file that cannot be opened.
  explicit DirectReader(std::vector<std::string> paths, ReadOptions options = {}, std::span<std::byte> ring = {});
  ~DirectReader();

  /// Calls use(i, bytes of extents[i]) once for every extent, on the pool's threads; the bytes are gone when it
  /// returns.
  /// An extent longer than a block has a buffer of its own for as long; several only as far as they fit into the size
  /// of the ring together. Throws Error{kIo} of a failed read, kCorruptFile when a file ends first or changed since it
  /// was opened, kCancelled soon after `stop`, and what `use` throws first; nothing is under way any more then.
  void read(std::span<const Extent> extents, ThreadPool& pool,
            FunctionRef<void(int64_t index, std::span<const std::byte>)> use, const std::stop_token& stop = {});

  bool is_direct(int file) const;
  /// Of a file, when it was opened.
  const FileState& state(int file) const;
  bool uses_uring() const { return uses_uring_; }

 private:
  struct OpenFile;
  struct Buffer;
  struct Run;
  void read_mapped(std::span<const Extent> extents, ThreadPool& pool,
                   FunctionRef<void(int64_t index, std::span<const std::byte>)> use, const std::stop_token& stop);
  std::vector<OpenFile> files_;
  ReadOptions options_;
  std::span<std::byte> ring_;
  bool uses_uring_ = false;
};

}  // namespace hearth
