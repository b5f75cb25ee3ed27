// DeviceAccount: the budget of a GPU whose memory is its own. Other programs take from that memory without asking, so
// the driver is asked before every lease. Thread-safe.
#pragma once
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

#include "governor/budget/budget.h"

namespace hearth::governor {

class DeviceAccount {
 public:
  struct Memory {
    int64_t total_bytes = 0, free_bytes = 0;
  };

  /// `read` asks the driver, from any thread. `configured_bytes` 0: as much as there is. A fiftieth of the memory is
  /// left alone: what a driver takes unasked.
  DeviceAccount(std::string pool, int64_t configured_bytes, std::function<Memory()> read);

  Budget& budget() { return budget_; }
  int64_t total_bytes() const { return read_().total_bytes; }
  int64_t reserve_bytes() const { return reserve_of(read_()); }
  /// What no lease stands for: other programs, and what the driver took for us unasked.
  int64_t others_bytes() const { return others_of(read_()); }
  /// Bytes leased for other programs that they have not taken yet. Returns when no call to the former one is running
  /// any more.
  void set_promised(std::function<int64_t()> promised);

 private:
  static int64_t reserve_of(const Memory& memory);
  int64_t limit_bytes() const;
  int64_t others_of(const Memory& memory) const;

  const int64_t configured_;
  const std::function<Memory()> read_;
  mutable std::mutex promised_mutex_;  // held while it is asked
  std::function<int64_t()> promised_;
  Budget budget_;
};

}  // namespace hearth::governor
