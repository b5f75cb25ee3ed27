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

  /// `read` asks the driver, from any thread, and throws Error{kDevice} where it fails, as every lease then does.
  /// `configured_bytes` 0: as much as there is. A fiftieth of the memory is left alone: what a driver takes unasked.
  DeviceAccount(std::string pool, int64_t configured_bytes, std::function<Memory()> read);

  Budget& budget() { return budget_; }
  int64_t total_bytes() const { return total_; }
  int64_t reserve_bytes() const { return total_ / kReserveShare; }
  /// Returns when no call to the former one is running any more.
  void set_promised(std::function<Promise()> promised);

 private:
  static constexpr int64_t kReserveShare = 50;
  Budget::Room room() const;
  Promise promise() const;

  const std::function<Memory()> read_;
  const int64_t total_;
  mutable std::mutex promised_mutex_;  // held while it is asked
  std::function<Promise()> promised_;
  mutable std::mutex mutex_;
  mutable int64_t others_before_ = 0;  // when nothing was promised
  Budget budget_;
};

}  // namespace hearth::governor
