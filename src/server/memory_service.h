// What stands behind the routes about memory: the program's governor and who gives way. Any thread.
#pragma once
#include <cstdint>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "governor/report.h"

namespace hearth::server {

/// A program that memory is reserved for, and where.
struct Borrower {
  std::string name;
  std::string pool;  // "": where models are
  int pid = 0;       // 0: unknown
};

class MemoryService {
 public:
  virtual ~MemoryService() = default;
  virtual governor::Report report() = 0;
  /// May a new request or job begin? kNoMemory with numbers while memory is short.
  virtual Result<void> admit() = 0;
  /// Unloads idle models, or only the one called `model`; caches too if `caches`. The bytes that came back.
  virtual int64_t free(const std::string& model, bool caches) = 0;
  /// Memory of a pool for another program, for which idle models leave; it is held until the handle goes. kNoMemory
  /// says what stands in the way, kInvalidArgument that there is no such pool.
  virtual Result<std::shared_ptr<void>> reserve(int64_t bytes, const Borrower& who) = 0;
  /// Memory for the body of a request, likewise.
  virtual Result<std::shared_ptr<void>> hold_body(int64_t bytes) = 0;
};

}  // namespace hearth::server
