// NoAllocScope counts what the calling thread takes from the heap while the scope lives. A program that links this file
// has operator new replaced by one that counts; for test programs only.
#pragma once
#include <cstdint>

namespace hearth::testing {

/// Heap allocations of the calling thread since it began.
int64_t thread_allocations();

class NoAllocScope {
 public:
  NoAllocScope() : before_(thread_allocations()) {}
  int64_t allocations() const { return thread_allocations() - before_; }

 private:
  int64_t before_;
};

}  // namespace hearth::testing
