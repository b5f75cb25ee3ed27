// ReadQueue: reads that are under way at once. With io_uring the kernel works on all of them; where a container forbids
// it, a few threads do one read each. Thread-safe: any thread may submit and wait.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>

namespace hearth {

struct Read {
  int fd = -1;
  int64_t offset = 0;
  std::byte* to = nullptr;
  int64_t bytes = 0;
  uint64_t tag = 0;  // comes back with the outcome
};

struct ReadOutcome {
  uint64_t tag = 0;
  int64_t result = 0;  // bytes read, fewer at the end of the file; or -errno
};

class ReadQueue {
 public:
  /// Every submitted read must have been taken.
  virtual ~ReadQueue() = default;
  /// At most `depth` may be under way; the buffer stays the reader's until the outcome was taken.
  virtual void submit(const Read& read) = 0;
  /// The next one that ended. Every submitted read ends exactly once; there must be one that has not been taken.
  virtual ReadOutcome wait() = 0;
};

/// Nothing where the kernel offers no io_uring to this process.
std::unique_ptr<ReadQueue> make_uring_queue(int depth);
std::unique_ptr<ReadQueue> make_threads_queue(int depth);

}  // namespace hearth
