#include "governor/budget/budget.h"

#include <algorithm>
#include <limits>

#include <fmt/format.h>

#include "core/base/units.h"

namespace hearth::governor {

Lease::~Lease() {
  if (budget_) budget_->give_back(entry_);
}

int64_t Lease::bytes() const { return budget_ ? entry_->bytes : 0; }

Result<Lease> Budget::take(int64_t bytes, std::string_view holder) {
  check(bytes >= 0, "a lease has a size");
  std::lock_guard lock(mutex_);
  if (bytes > limit_ - leased_) {
    std::string text = fmt::format("{} needs {} in pool '{}': {} of {} free", holder, format_bytes(bytes), pool_,
                                   format_bytes(limit_ - leased_), format_bytes(limit_));
    std::vector<Holding> held = holdings_locked();
    for (size_t i = 0; i < held.size() && i < 4; ++i) {
      text += fmt::format("{}{} {}", i ? ", " : "; held by ", held[i].holder, format_bytes(held[i].bytes));
    }
    text += bytes > limit_ ? ". Choose a smaller model or context, or raise memory.budget"
                           : ". Unload a model, use a smaller context, or raise memory.budget";
    return unexpected(Code::kNoMemory, std::move(text));
  }
  leased_ += bytes;
  return Lease(this, leases_.insert(leases_.end(), {std::string(holder), bytes}));
}

int64_t Budget::leased_bytes() const {
  std::lock_guard lock(mutex_);
  return leased_;
}

std::vector<Holding> Budget::holdings() const {
  std::lock_guard lock(mutex_);
  return holdings_locked();
}

std::vector<Holding> Budget::holdings_locked() const {
  std::vector<Holding> sums;
  for (const Lease::Entry& lease : leases_) {
    auto same = std::find_if(sums.begin(), sums.end(), [&](const Holding& sum) { return sum.holder == lease.holder; });
    if (same == sums.end()) {
      sums.push_back({lease.holder, lease.bytes});
    } else {
      same->bytes += lease.bytes;
    }
  }
  std::stable_sort(sums.begin(), sums.end(), [](const Holding& a, const Holding& b) { return a.bytes > b.bytes; });
  return sums;
}

void Budget::give_back(std::list<Lease::Entry>::iterator entry) {
  std::lock_guard lock(mutex_);
  leased_ -= entry->bytes;
  leases_.erase(entry);
}

int64_t host_budget_bytes(const machine::HostMemory& memory, const HostLimits& limits) {
  constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();
  int64_t physical = std::min(memory.total_bytes.value_or(kUnlimited), memory.cgroup_limit_bytes.value_or(kUnlimited));
  if (physical == kUnlimited) return limits.configured_bytes > 0 ? limits.configured_bytes : 2 * GiB;
  int64_t reserve = limits.reserve_bytes;
  if (reserve <= 0) reserve = std::min(std::max(physical / 10, GiB), physical / 4);
  int64_t most = std::max<int64_t>(physical - reserve, 0);
  return limits.configured_bytes > 0 ? std::min(limits.configured_bytes, most) : most;
}

// The Storage first, so that release() finds its lease.
struct LeasedAllocator::Held : Storage {
  using Storage::Storage;
  Lease lease;
};

Result<StorageRef> LeasedAllocator::allocate(int64_t bytes, std::string_view holder) {
  Result<Lease> lease = budget_.take(allocation_bytes(device_, bytes), holder);
  if (!lease) return Unexpected(lease.error());
  Result<std::byte*> data = raw_allocate(device_, bytes);
  if (!data) return Unexpected(data.error());
  auto* held = new Held(this, *data, bytes);
  held->lease = std::move(*lease);
  return StorageRef(held);
}

Result<StorageRef> LeasedAllocator::book(int64_t bytes, std::string_view holder) {
  Result<Lease> lease = budget_.take(bytes, holder);
  if (!lease) return Unexpected(lease.error());
  auto* held = new Held(this, nullptr, bytes);
  held->lease = std::move(*lease);
  return StorageRef(held);
}

void LeasedAllocator::release(Storage* storage) noexcept {
  raw_free(device_, storage->data(), storage->bytes());
  delete static_cast<Held*>(storage);
}

}  // namespace hearth::governor
