// HeapPeak: how much more heap the calling thread held, at its highest, than when the scope began. A program that links
// this file has operator new and delete replaced by ones that count; for test programs only.
#pragma once
#include <cstdint>

namespace hearth::testing {

class HeapPeak {
 public:
  HeapPeak();
  /// Bytes as the allocator rounds them. Scopes do not nest: the youngest one counts.
  int64_t bytes() const;

 private:
  int64_t before_;
};

}  // namespace hearth::testing
