#include "governor/budget/device_account.h"

#include <algorithm>
#include <utility>

namespace hearth::governor {

DeviceAccount::DeviceAccount(std::string pool, int64_t configured_bytes, std::function<Memory()> read)
    : configured_(configured_bytes), read_(std::move(read)),
      budget_(std::move(pool), [this] { return limit_bytes(); }) {
  budget_.set_reserve_bytes(reserve_bytes());
  budget_.set_others([this] { return others_bytes(); });
}

void DeviceAccount::set_promised(std::function<int64_t()> promised) {
  std::lock_guard lock(promised_mutex_);
  promised_ = std::move(promised);
}

int64_t DeviceAccount::reserve_of(const Memory& memory) {
  constexpr int64_t kShare = 50;
  return memory.total_bytes / kShare;
}

int64_t DeviceAccount::limit_bytes() const {
  const Memory now = read_();
  const int64_t most = std::max<int64_t>(now.total_bytes - reserve_of(now) - others_of(now), 0);
  return configured_ > 0 ? std::min(configured_, most) : most;
}

int64_t DeviceAccount::others_of(const Memory& memory) const {
  int64_t promised = 0;
  {
    std::lock_guard lock(promised_mutex_);
    if (promised_) promised = promised_();
  }
  return std::max<int64_t>(memory.total_bytes - memory.free_bytes - (budget_.leased_bytes() - promised), 0);
}

}  // namespace hearth::governor
