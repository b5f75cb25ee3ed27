#include "formats/direct/direct_reader.h"

#include <fcntl.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <utility>

#include <fmt/format.h>

#include "core/base/check.h"
#include "formats/direct/mapped_file.h"
#include "formats/direct/read_buffer.h"

namespace hearth {
namespace {

constexpr const char* kCancelled = "loading was cancelled";
static_assert(ReadOptions::kSlack == 2 * kReadAlignment);  // an extent begins and ends anywhere in its end blocks

int64_t aligned_down(int64_t n) { return n & ~(kReadAlignment - 1); }
int64_t aligned_up(int64_t n) { return aligned_down(n + kReadAlignment - 1); }

Error read_failure(const std::string& path, int number) {
  return Error(Code::kIo, fmt::format("{}: cannot read: {}", path, std::strerror(number)));
}

// What `work` throws: on a pool's thread nothing may be thrown further.
template <class Work>
std::optional<Error> error_of(Work&& work) {
  try {
    work();
    return std::nullopt;
  } catch (const Error& e) {
    return e;
  } catch (const std::bad_alloc&) {
    return Error(Code::kNoMemory, "no memory left for what was read");
  }
}

}  // namespace

struct DirectReader::OpenFile {
  std::string path;
  Descriptor descriptor;
  bool is_direct = false;
  FileState state;

  OpenFile(std::string name, bool wants_direct) : path(std::move(name)) {
    if (wants_direct) descriptor = Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_DIRECT));
    is_direct = descriptor.get() >= 0;
    if (!is_direct) descriptor = Descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (descriptor.get() < 0) {
      throw Error(Code::kIo, fmt::format("{}: cannot open: {}", path, std::strerror(errno)));
    }
    state = file_state(descriptor.get());
  }

  [[noreturn]] void fail_changed() const {
    throw Error(Code::kCorruptFile, fmt::format("{}: the file changed while it was read; try again when nothing "
                                                "writes to it any more", path));
  }
  [[noreturn]] void fail_short(int64_t end, int64_t missing) const {
    throw Error(Code::kCorruptFile, fmt::format("{}: the file ends at {}, {} bytes are missing", path, end, missing));
  }

  void check_unchanged() const {
    if (file_state(descriptor.get()) != state) fail_changed();
  }
  void check_holds(const Extent& extent) const {
    const int64_t end = extent.offset + extent.bytes;
    if (end > state.bytes) fail_short(state.bytes, end - state.bytes);
  }
};

// One extent under way, in a slot of the ring or, when it is longer, in memory of its own. It is read in blocks.
struct DirectReader::Buffer {
  std::byte* ring_slot = nullptr;
  ReadBuffer own;
  int64_t extent = -1;
  int64_t first = 0;          // offset in the file of the first byte held: aligned
  int64_t got = 0;            // bytes from `first` on that are there
  int64_t wanted = 0;         // until the extent's end
  std::atomic<bool> is_submitted{false};  // hands the fields above from thread to thread beside the kernel's queue
  std::byte* data() const { return own ? own.get() : ring_slot; }
};

// The work of one read() call.
struct DirectReader::Run {
  Run(const std::vector<OpenFile>& files, const ReadOptions& options, std::span<std::byte> ring,
      std::span<const Extent> extents, ReadQueue& queue, const std::stop_token& stop)
      : files(files), options(options), extents(extents), queue(queue), stop(stop),
        buffers(static_cast<size_t>(options.blocks())) {
    if (std::ssize(ring) < options.ring_bytes()) own_ring = make_read_buffer(options.ring_bytes());
    std::byte* slots = own_ring ? own_ring.get() : ring.data();
    for (int i = 0; i < options.blocks(); ++i) {
      buffers[i].ring_slot = slots + i * (options.block_bytes + ReadOptions::kSlack);
      idle.push_back(i);
    }
  }

  // Fewer and fewer towards the end: what arrives in one lump last is used while the disk has nothing left to do.
  int64_t most_under_way() const {
    constexpr int kFewest = 4;
    return std::clamp<int64_t>((std::ssize(extents) - next) / 2, std::min(kFewest, options.depth), options.depth);
  }

  // Puts the next extents into the slots nothing is under way in.
  void start() {
    for (;;) {
      size_t slot = 0;
      int64_t index = -1, own_bytes = 0;
      {
        std::lock_guard lock(mutex);
        if (has_stopped || next == std::ssize(extents) || idle.empty() || under_way >= most_under_way()) return;
        own_bytes = bytes_beside_ring(extents[next]);
        if (own_bytes > 0 && beside_ring > 0 && beside_ring + own_bytes > options.ring_bytes()) return;
        beside_ring += own_bytes;
        index = next++;
        ++under_way;
        slot = idle.back();
        idle.pop_back();
      }
      Buffer& buffer = buffers[slot];
      const Extent& extent = extents[index];
      buffer.extent = index;
      buffer.first = aligned_down(extent.offset);
      buffer.got = 0;
      buffer.wanted = extent.offset + extent.bytes - buffer.first;
      buffer.own = own_bytes > 0 ? make_read_buffer(own_bytes) : nullptr;
      submit(slot);
      std::lock_guard lock(mutex);
      ++unclaimed;
      has_changed.notify_one();
    }
  }

  // The bytes of the slot's extent are not needed any more.
  void finish(size_t slot) {
    Buffer& buffer = buffers[slot];
    buffer.own.reset();
    std::lock_guard lock(mutex);
    beside_ring -= bytes_beside_ring(extents[buffer.extent]);
    idle.push_back(slot);
  }

  int64_t bytes_beside_ring(const Extent& extent) const {
    const int64_t bytes = extent.offset + extent.bytes - aligned_down(extent.offset);
    return bytes > options.block_bytes + ReadOptions::kSlack ? aligned_up(bytes) : 0;
  }

  // The slot's extent is there: before it is used the disk begins with another, if a slot is idle.
  void arrive() {
    {
      std::lock_guard lock(mutex);
      --under_way;
    }
    start();
  }

  // The right to wait for one extent, so that nobody waits for what will not come; false when the run has stopped.
  bool claim() {
    std::unique_lock lock(mutex);
    has_changed.wait(lock, [&] { return has_stopped || unclaimed > 0; });
    if (has_stopped) return false;
    --unclaimed;
    return true;
  }

  void stop_with(Error error) {
    std::lock_guard lock(mutex);
    if (!failure) failure = std::move(error);
    has_stopped = true;
    has_changed.notify_all();
  }

  bool must_stop() {
    std::lock_guard lock(mutex);
    return has_stopped || stop.stop_requested();
  }

  void submit(size_t slot) {
    Buffer& buffer = buffers[slot];
    const int64_t left = aligned_up(buffer.wanted - buffer.got);
    const Read read{.fd = files[extents[buffer.extent].file].descriptor.get(), .offset = buffer.first + buffer.got,
                    .to = buffer.data() + buffer.got,
                    .bytes = buffer.own ? std::min(left, options.block_bytes) : left, .tag = slot};
    buffer.is_submitted.store(true, std::memory_order_release);  // whoever takes the outcome goes on with the fields
    queue.submit(read);
  }

  // Takes outcomes until one extent is whole; its slot. Only with a claim.
  size_t wait_for_one() {
    for (;;) {
      const ReadOutcome outcome = queue.wait();
      const size_t slot = outcome.tag;
      Buffer& buffer = buffers[slot];
      check(buffer.is_submitted.load(std::memory_order_acquire), "an outcome belongs to a read");
      const OpenFile& file = files[extents[buffer.extent].file];
      if (outcome.result < 0) throw read_failure(file.path, static_cast<int>(-outcome.result));
      const int64_t end = buffer.got + outcome.result;
      drop_cached(file, buffer.first + buffer.got, outcome.result);
      if (end >= buffer.wanted) return slot;
      // A read may be short anywhere; one that gives nothing whole is the end of the file.
      if (aligned_down(end) <= buffer.got) file.fail_short(buffer.first + end, buffer.wanted - end);
      if (must_stop()) throw Error(Code::kCancelled, kCancelled);
      buffer.got = aligned_down(end);
      submit(slot);
    }
  }

  void drop_cached(const OpenFile& file, int64_t offset, int64_t bytes) const {
    if (!file.is_direct && options.is_direct) {
      ::posix_fadvise(file.descriptor.get(), offset, bytes, POSIX_FADV_DONTNEED);
    }
  }

  // The ring must not go while the kernel writes into it.
  void drain() {
    for (; unclaimed > 0; --unclaimed) {
      try {
        wait_for_one();
      } catch (const Error&) {  // the first failure is the one to tell
      }
    }
  }

  const std::vector<OpenFile>& files;
  const ReadOptions& options;
  std::span<const Extent> extents;
  ReadQueue& queue;
  const std::stop_token& stop;
  ReadBuffer own_ring;
  std::vector<Buffer> buffers;
  std::mutex mutex;
  std::condition_variable has_changed;
  std::vector<size_t> idle;  // slots
  int64_t next = 0;
  int under_way = 0;        // reads
  int64_t beside_ring = 0;  // bytes of buffers of their own
  int64_t unclaimed = 0;  // extents under way that nobody waits for yet
  bool has_stopped = false;
  std::optional<Error> failure;
};

ReadOptions ReadOptions::within(int64_t bytes) const {
  constexpr int kLeast = 2;
  ReadOptions smaller = *this;
  const int n = static_cast<int>(std::clamp<int64_t>(bytes / (block_bytes + kSlack), kLeast, blocks()));
  if (n < blocks()) smaller.spare = std::max(1, n / 3);
  smaller.depth = n - smaller.spare;
  const int64_t share = aligned_down(bytes / n) - kSlack;
  smaller.block_bytes = std::clamp(share, kReadAlignment, block_bytes);
  return smaller;
}

DirectReader::DirectReader(std::vector<std::string> paths, ReadOptions options, std::span<std::byte> ring)
    : options_(options), ring_(ring) {
  check(options_.block_bytes % kReadAlignment == 0 && options_.block_bytes > 0 && options_.depth > 0 &&
            options_.spare >= 0,
        "a ring has whole blocks");
  for (std::string& path : paths) files_.emplace_back(std::move(path), options_.is_direct && !options_.is_mapped);
}

DirectReader::~DirectReader() = default;

bool DirectReader::is_direct(int file) const { return files_[file].is_direct; }
const FileState& DirectReader::state(int file) const { return files_[file].state; }

void DirectReader::read(std::span<const Extent> extents, ThreadPool& pool,
                        FunctionRef<void(int64_t, std::span<const std::byte>)> use, const std::stop_token& stop) {
  if (options_.is_mapped) return read_mapped(extents, pool, use, stop);
  std::unique_ptr<ReadQueue> queue = options_.uses_uring ? make_uring_queue(options_.depth) : nullptr;
  uses_uring_ = queue != nullptr;
  if (!queue) queue = make_threads_queue(options_.depth);
  Run run(files_, options_, ring_, extents, *queue, stop);
  try {
    run.start();
  } catch (const Error& e) {  // some reads may be under way: they are drained below
    run.stop_with(e);
  }

  // Every call takes one extent that is there, whichever it is.
  pool.parallel_for(std::ssize(extents), 1, [&](int64_t begin, int64_t end) {
    for (int64_t call = begin; call < end; ++call) {
      if (stop.stop_requested()) run.stop_with(Error(Code::kCancelled, kCancelled));
      if (!run.claim()) return;
      std::optional<Error> error = error_of([&] {
        const size_t slot = run.wait_for_one();
        run.arrive();
        const Buffer& buffer = run.buffers[slot];
        const Extent& extent = extents[buffer.extent];
        use(buffer.extent, {buffer.data() + (extent.offset - buffer.first), static_cast<size_t>(extent.bytes)});
        run.finish(slot);
        run.start();
      });
      if (error) run.stop_with(*std::move(error));
    }
  });
  run.drain();
  if (run.failure) throw *run.failure;
  for (const OpenFile& file : files_) file.check_unchanged();
}

void DirectReader::read_mapped(std::span<const Extent> extents, ThreadPool& pool,
                               FunctionRef<void(int64_t, std::span<const std::byte>)> use,
                               const std::stop_token& stop) {
  std::vector<std::unique_ptr<MappedFile>> maps;
  for (const OpenFile& file : files_) {
    maps.push_back(std::make_unique<MappedFile>(file.descriptor.get(), file.state.bytes));
  }
  for (const Extent& extent : extents) files_[extent.file].check_holds(extent);
  auto ask_for = [&](int64_t i) {
    if (i < std::ssize(extents)) maps[extents[i].file]->will_need(extents[i].offset, extents[i].bytes);
  };
  for (int64_t i = 0; i < options_.depth; ++i) ask_for(i);
  std::mutex mutex;
  std::optional<Error> failure;
  std::atomic<bool> has_failed{false};
  auto use_one = [&](int64_t i) {
    if (stop.stop_requested()) throw Error(Code::kCancelled, kCancelled);
    ask_for(i + options_.depth);
    const Extent& extent = extents[i];
    const MappedFile& map = *maps[extent.file];
    use(i, map.bytes().subspan(static_cast<size_t>(extent.offset), static_cast<size_t>(extent.bytes)));
    if (!map.is_whole()) files_[extent.file].fail_changed();
  };
  pool.parallel_for(std::ssize(extents), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end && !has_failed; ++i) {
      std::optional<Error> error = error_of([&] { use_one(i); });
      if (!error) continue;
      std::lock_guard lock(mutex);
      if (!has_failed.exchange(true)) failure = std::move(error);
    }
  });
  if (failure) throw *failure;
  for (const OpenFile& file : files_) file.check_unchanged();
}

}  // namespace hearth
