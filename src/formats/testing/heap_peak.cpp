#include "formats/testing/heap_peak.h"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <new>

#include <malloc.h>

namespace {

thread_local int64_t live = 0, peak = 0;

void* take(std::size_t bytes, std::align_val_t wanted = std::align_val_t{1}) {
  const auto alignment = std::max(static_cast<std::size_t>(wanted), alignof(std::max_align_t));
  void* data = nullptr;
  if (posix_memalign(&data, alignment, std::max<std::size_t>(bytes, 1)) != 0) throw std::bad_alloc();
  live += static_cast<int64_t>(malloc_usable_size(data));
  peak = std::max(peak, live);
  return data;
}

void give_back(void* data) {
  if (data) live -= static_cast<int64_t>(malloc_usable_size(data));
  std::free(data);
}

}  // namespace

void* operator new(std::size_t bytes) { return take(bytes); }
void* operator new[](std::size_t bytes) { return take(bytes); }
void* operator new(std::size_t bytes, std::align_val_t alignment) { return take(bytes, alignment); }
void* operator new[](std::size_t bytes, std::align_val_t alignment) { return take(bytes, alignment); }
void operator delete(void* data) noexcept { give_back(data); }
void operator delete[](void* data) noexcept { give_back(data); }
void operator delete(void* data, std::size_t) noexcept { give_back(data); }
void operator delete[](void* data, std::size_t) noexcept { give_back(data); }
void operator delete(void* data, std::align_val_t) noexcept { give_back(data); }
void operator delete[](void* data, std::align_val_t) noexcept { give_back(data); }
void operator delete(void* data, std::size_t, std::align_val_t) noexcept { give_back(data); }
void operator delete[](void* data, std::size_t, std::align_val_t) noexcept { give_back(data); }

namespace hearth::testing {

HeapPeak::HeapPeak() : before_(live) { peak = live; }

int64_t HeapPeak::bytes() const { return peak - before_; }

}  // namespace hearth::testing
