// Journal: what lately happened to a memory pool, for GET /memory and for counters: who left and why, what was refused,
// what was ended. Keeps the newest entries and counts all. Thread-safe.
#pragma once
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"

namespace hearth::governor {

class Journal {
 public:
  enum class Kind { kEviction, kRefusal, kAbort, kLevel };
  struct Entry {
    Kind kind;
    int64_t unix_ms = 0;
    std::string who;    // what left, who was refused or ended, the new level
    int64_t bytes = 0;  // what that gave back or was asked for; 0 unknown
    std::string why;
  };
  struct Counts {
    uint64_t evictions = 0, evicted_bytes = 0, refusals = 0, aborts = 0;
  };
  static constexpr size_t kKept = 64;

  void add(Kind kind, std::string_view who, int64_t bytes, std::string_view why);
  /// A refusal as somebody got to hear it; other errors are not noted.
  void refused(const Error& error);
  Counts counts() const;
  /// Newest last.
  std::vector<Entry> entries() const;

 private:
  mutable std::mutex mutex_;
  std::deque<Entry> entries_;
  Counts counts_;
};

std::string_view name_of(Journal::Kind kind);

}  // namespace hearth::governor
