#include "governor/budget/device_account.h"

#include <algorithm>
#include <utility>

namespace hearth::governor {
namespace {

int64_t within(int64_t configured, int64_t most) { return configured > 0 ? std::min(configured, most) : most; }

}  // namespace

DeviceAccount::DeviceAccount(std::string pool, int64_t configured_bytes, std::function<Memory()> read)
    : read_(std::move(read)), total_(read_().total_bytes),
      budget_(std::move(pool), within(configured_bytes, total_ - total_ / kReserveShare)) {
  budget_.set_reserve_bytes(reserve_bytes());
  budget_.set_room([this] { return room(); });
}

void DeviceAccount::set_promised(std::function<Promise()> promised) {
  std::lock_guard lock(promised_mutex_);
  promised_ = std::move(promised);
}

Promise DeviceAccount::promise() const {
  std::lock_guard lock(promised_mutex_);
  return promised_ ? promised_() : Promise();
}

// What grows beside a promise counts as taken of it: who holds how much on a GPU is told late, or not at all.
Budget::Room DeviceAccount::room() const {
  const Promise promised = promise();
  Memory now;
  int64_t leased = 0, pending = 0;
  constexpr int kTries = 3;
  for (int i = 0; i < kTries; ++i) {  // of one moment, if others let us
    leased = budget_.leased_bytes();
    pending = budget_.untouched_bytes();
    now = read_();
    if (budget_.leased_bytes() == leased && budget_.untouched_bytes() == pending) break;
  }
  const int64_t ours = leased - promised.bytes - pending;
  const int64_t others = std::max<int64_t>(now.total_bytes - now.free_bytes - ours, 0);
  std::lock_guard lock(mutex_);
  if (promised.bytes == 0) others_before_ = others;
  const int64_t taken = std::clamp(std::max(promised.taken_bytes, others - others_before_), int64_t{0}, promised.bytes);
  return {.bytes = now.free_bytes - reserve_bytes() - pending - (promised.bytes - taken),
          .others_bytes = std::max<int64_t>(others - taken, 0)};
}

}  // namespace hearth::governor
