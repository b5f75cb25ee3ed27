#include "formats/direct/mapped_file.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/units.h"

namespace hearth {
namespace {

// What the handler reads: atomics alone, as it may interrupt any instruction. An end of 0 marks a free slot.
struct Mapping {
  std::atomic<uintptr_t> begin{0}, end{0};
  std::atomic<bool> is_hurt{false};
};
constexpr int kMost = 256;
std::array<Mapping, kMost> mappings;
struct sigaction handler_before {};

void pass_on(int number, siginfo_t* info, void* context) {
  if ((handler_before.sa_flags & SA_SIGINFO) != 0) return handler_before.sa_sigaction(number, info, context);
  if (handler_before.sa_handler != SIG_DFL && handler_before.sa_handler != SIG_IGN) {
    return handler_before.sa_handler(number);
  }
  ::signal(number, SIG_DFL);  // the instruction runs again and ends the process as it would have
  const bool was_sent = info->si_code <= 0;
  if (was_sent) ::raise(number);
}

// From the page that is gone to the end of the file: what is behind a cut is gone too, and one signal is enough.
void put_zeros(int number, siginfo_t* info, void* context) {
  const auto address = reinterpret_cast<uintptr_t>(info->si_addr);
  for (Mapping& mapping : mappings) {
    const uintptr_t end = mapping.end.load(std::memory_order_acquire);
    if (address < mapping.begin.load(std::memory_order_relaxed) || address >= end) continue;
    const int error = errno;
    const uintptr_t page = address & ~(static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE)) - 1);
    void* zeros = ::mmap(reinterpret_cast<void*>(page), end - page, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
                         -1, 0);
    errno = error;
    if (zeros == MAP_FAILED) break;
    mapping.is_hurt = true;
    return;
  }
  pass_on(number, info, context);
}

void install_handler() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = put_zeros;
    action.sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK;
    ::sigaction(SIGBUS, &action, &handler_before);
  });
}

std::mutex slots_mutex;

int take_slot(const std::byte* data, int64_t bytes) {
  std::lock_guard lock(slots_mutex);
  for (int i = 0; i < kMost; ++i) {
    Mapping& mapping = mappings[i];
    if (mapping.end != 0) continue;
    mapping.is_hurt = false;
    mapping.begin = reinterpret_cast<uintptr_t>(data);
    mapping.end.store(reinterpret_cast<uintptr_t>(data + bytes), std::memory_order_release);
    return i;
  }
  return -1;
}

}  // namespace

MappedFile::MappedFile(int descriptor, int64_t bytes) : bytes_(bytes) {
  if (bytes == 0) return;
  install_handler();
  void* memory = ::mmap(nullptr, static_cast<size_t>(bytes), PROT_READ, MAP_SHARED, descriptor, 0);
  if (memory == MAP_FAILED) throw Error(Code::kIo, fmt::format("cannot map: {}", std::strerror(errno)));
  data_ = static_cast<const std::byte*>(memory);
  slot_ = take_slot(data_, round_up(bytes, ::sysconf(_SC_PAGESIZE)));
  if (slot_ >= 0) return;
  ::munmap(memory, static_cast<size_t>(bytes));
  throw Error(Code::kBusy, fmt::format("{} files are mapped already; load without mmap", kMost));
}

MappedFile::~MappedFile() {
  if (!data_) return;
  mappings[slot_].end = 0;
  ::munmap(const_cast<std::byte*>(data_), static_cast<size_t>(bytes_));
}

void MappedFile::will_need(int64_t offset, int64_t bytes) const {
  const int64_t page = ::sysconf(_SC_PAGESIZE), begin = offset / page * page;
  ::madvise(const_cast<std::byte*>(data_) + begin, static_cast<size_t>(offset + bytes - begin), MADV_WILLNEED);
}

bool MappedFile::is_whole() const { return slot_ < 0 || !mappings[slot_].is_hurt; }

}  // namespace hearth
