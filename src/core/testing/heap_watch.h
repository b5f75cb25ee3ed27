// HeapWatch: what the calling thread takes from the heap while the watch lives. A program that links this file has
// operator new and delete replaced by ones that count; for test programs only.
#pragma once
#include <cstdint>

namespace hearth::testing {

/// Allocations of the calling thread since it began.
int64_t thread_allocations();

class HeapWatch {
 public:
  HeapWatch();
  int64_t allocations() const;
  /// How much more was held at the highest than at the beginning, as the allocator rounds it. Watches do not nest: the
  /// youngest one's peak counts.
  int64_t peak_bytes() const;

 private:
  int64_t allocations_before_, bytes_before_;
};

}  // namespace hearth::testing
