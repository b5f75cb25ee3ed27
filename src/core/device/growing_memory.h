// GrowingMemory: device memory whose addresses are there before its bytes are. It grows from its beginning, part by
// part, so that whoever takes it can look at the machine in between. One owner, one thread at a time.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/base/result.h"

namespace hearth {

class GrowingMemory {
 public:
  /// Gives back everything it grew by, and its addresses, when nothing on the device uses them any more.
  virtual ~GrowingMemory() = default;
  virtual std::byte* data() const = 0;
  /// Puts memory, uninitialised, behind the next `bytes` addresses. kNoMemory leaves what is there as it was.
  virtual Result<void> grow(int64_t bytes) = 0;
};

}  // namespace hearth
