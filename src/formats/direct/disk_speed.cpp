#include "formats/direct/disk_speed.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <vector>

#include <fmt/format.h>

#include "core/base/check.h"
#include "core/base/error.h"
#include "formats/direct/read_buffer.h"

namespace hearth {
namespace {

[[noreturn]] void fail(const std::string& path, int number) {
  throw Error(Code::kIo, fmt::format("{}: cannot read: {}", path, std::strerror(number)));
}

Descriptor open_file(const std::string& path, int flags) {
  return Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | flags));
}

int64_t size_of(const Descriptor& file, const std::string& path) {
  struct stat state {};
  if (file.get() < 0 || ::fstat(file.get(), &state) != 0) fail(path, errno);
  if (!S_ISREG(state.st_mode)) throw Error(Code::kInvalidArgument, path + ": not a file");
  if (state.st_size == 0) throw Error(Code::kInvalidArgument, path + ": empty; there is nothing to measure");
  return state.st_size;
}

ReadBuffer buffer_of(int64_t bytes) {
  check(bytes > 0 && bytes % kReadAlignment == 0, "blocks are whole pages");
  ReadBuffer memory = make_read_buffer(bytes);
  std::memset(memory.get(), 1, static_cast<size_t>(bytes));  // there before the clock starts
  return memory;
}

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Takes one outcome: bytes, or what went wrong. Nothing more is submitted after a failure.
struct Outcomes {
  ReadQueue& queue;
  int under_way = 0;
  int64_t bytes = 0;
  int failure = 0;

  void take() {
    const ReadOutcome outcome = queue.wait();
    --under_way;
    if (outcome.result < 0) failure = static_cast<int>(-outcome.result);
    else bytes += outcome.result;
  }
};

}  // namespace

DiskSpeed measure_disk(const std::string& path, const ReadOptions& options, int buffers) {
  Descriptor file = options.is_direct ? open_file(path, O_DIRECT) : Descriptor();
  DiskSpeed speed{.is_direct = file.get() >= 0};
  if (!speed.is_direct) file = open_file(path, 0);
  const int64_t size = size_of(file, path);
  check(buffers > 0, "reads go into at least one buffer");
  const auto ring = buffer_of(buffers * options.block_bytes);
  std::unique_ptr<ReadQueue> queue = options.uses_uring ? make_uring_queue(options.depth) : nullptr;
  speed.uses_uring = queue != nullptr;
  if (!queue) queue = make_threads_queue(options.depth);

  const auto start = std::chrono::steady_clock::now();
  Outcomes outcomes{*queue};
  for (int64_t offset = 0; offset < size && outcomes.failure == 0; offset += options.block_bytes) {
    if (outcomes.under_way == options.depth) outcomes.take();
    std::byte* to = ring.get() + offset % (buffers * options.block_bytes);
    queue->submit({.fd = file.get(), .offset = offset, .to = to, .bytes = options.block_bytes});
    ++outcomes.under_way;
  }
  while (outcomes.under_way > 0) outcomes.take();
  speed.seconds = seconds_since(start);
  speed.bytes = outcomes.bytes;
  if (outcomes.failure != 0) fail(path, outcomes.failure);
  return speed;
}

DiskSpeed measure_buffered_disk(const std::string& path, int64_t block_bytes) {
  const Descriptor file = open_file(path, 0);
  size_of(file, path);
  const auto buffer = buffer_of(block_bytes);
  ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
  const auto start = std::chrono::steady_clock::now();
  DiskSpeed speed;
  for (;;) {
    const ssize_t got = ::read(file.get(), buffer.get(), static_cast<size_t>(block_bytes));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) fail(path, errno);
    if (got == 0) break;
    speed.bytes += got;
  }
  speed.seconds = seconds_since(start);
  ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED);
  return speed;
}

}  // namespace hearth
