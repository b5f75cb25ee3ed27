#include "core/testing/heap_watch.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

#include <malloc.h>

namespace {

thread_local int64_t allocations = 0, live_bytes = 0, peak_bytes = 0;

void* take(std::size_t bytes, std::align_val_t wanted = std::align_val_t{1}) noexcept {
  const auto alignment = std::max(static_cast<std::size_t>(wanted), alignof(std::max_align_t));
  void* data = nullptr;
  if (posix_memalign(&data, alignment, std::max<std::size_t>(bytes, 1)) != 0) return nullptr;
  ++allocations;
  live_bytes += static_cast<int64_t>(malloc_usable_size(data));
  peak_bytes = std::max(peak_bytes, live_bytes);
  return data;
}

void* take_or_throw(std::size_t bytes, std::align_val_t alignment = std::align_val_t{1}) {
  void* data = take(bytes, alignment);
  if (!data) throw std::bad_alloc();
  return data;
}

void give_back(void* data) noexcept {
  if (data) live_bytes -= static_cast<int64_t>(malloc_usable_size(data));
  std::free(data);
}

}  // namespace

// All of them: the sanitizers bring their own of whatever is missing, and theirs do not pair with these.
void* operator new(std::size_t bytes) { return take_or_throw(bytes); }
void* operator new[](std::size_t bytes) { return take_or_throw(bytes); }
void* operator new(std::size_t bytes, std::align_val_t alignment) { return take_or_throw(bytes, alignment); }
void* operator new[](std::size_t bytes, std::align_val_t alignment) { return take_or_throw(bytes, alignment); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept { return take(bytes); }
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept { return take(bytes); }
void* operator new(std::size_t bytes, std::align_val_t a, const std::nothrow_t&) noexcept { return take(bytes, a); }
void* operator new[](std::size_t bytes, std::align_val_t a, const std::nothrow_t&) noexcept { return take(bytes, a); }
void operator delete(void* data) noexcept { give_back(data); }
void operator delete[](void* data) noexcept { give_back(data); }
void operator delete(void* data, std::size_t) noexcept { give_back(data); }
void operator delete[](void* data, std::size_t) noexcept { give_back(data); }
void operator delete(void* data, std::align_val_t) noexcept { give_back(data); }
void operator delete[](void* data, std::align_val_t) noexcept { give_back(data); }
void operator delete(void* data, std::size_t, std::align_val_t) noexcept { give_back(data); }
void operator delete[](void* data, std::size_t, std::align_val_t) noexcept { give_back(data); }
void operator delete(void* data, const std::nothrow_t&) noexcept { give_back(data); }
void operator delete[](void* data, const std::nothrow_t&) noexcept { give_back(data); }
void operator delete(void* data, std::align_val_t, const std::nothrow_t&) noexcept { give_back(data); }
void operator delete[](void* data, std::align_val_t, const std::nothrow_t&) noexcept { give_back(data); }

namespace hearth::testing {

int64_t thread_allocations() { return ::allocations; }

HeapWatch::HeapWatch() : allocations_before_(::allocations), bytes_before_(live_bytes) { ::peak_bytes = live_bytes; }

int64_t HeapWatch::allocations() const { return ::allocations - allocations_before_; }

int64_t HeapWatch::peak_bytes() const { return ::peak_bytes - bytes_before_; }

}  // namespace hearth::testing
