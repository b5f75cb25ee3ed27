// Budget: the one account of a memory pool. Whoever wants memory takes a lease first; a lease is the right to hold that
// many bytes until it is dropped. There is no overdraft: a refusal says what was needed, what is free and who holds the
// rest. Thread-safe. Leases may outlive nothing: the Budget lives as long as the process's engine.
#pragma once
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/device/allocator.h"
#include "machine/memory.h"

namespace hearth::governor {

class Budget;

/// Bytes held from a Budget; given back when this goes away. Movable, one owner.
class Lease {
 public:
  Lease() = default;
  Lease(Lease&& other) noexcept : budget_(std::exchange(other.budget_, nullptr)), entry_(other.entry_) {}
  Lease& operator=(Lease&& other) noexcept {
    std::swap(budget_, other.budget_);
    std::swap(entry_, other.entry_);
    return *this;
  }
  ~Lease();
  int64_t bytes() const;

 private:
  friend class Budget;
  struct Entry {
    std::string holder;
    int64_t bytes;
  };
  Lease(Budget* budget, std::list<Entry>::iterator entry) : budget_(budget), entry_(entry) {}
  Budget* budget_ = nullptr;
  std::list<Entry>::iterator entry_{};
};

struct Holding {
  std::string holder;
  int64_t bytes = 0;
};

class Budget {
 public:
  Budget(std::string pool, int64_t limit_bytes) : pool_(std::move(pool)), limit_(limit_bytes) {}

  /// kNoMemory, with numbers and the largest holders, when `bytes` do not fit.
  Result<Lease> take(int64_t bytes, std::string_view holder);

  const std::string& pool() const { return pool_; }
  int64_t limit_bytes() const { return limit_; }
  int64_t leased_bytes() const;
  int64_t free_bytes() const { return limit_ - leased_bytes(); }
  /// Leases summed by holder, largest first.
  std::vector<Holding> holdings() const;

 private:
  friend class Lease;
  void give_back(std::list<Lease::Entry>::iterator entry);
  std::vector<Holding> holdings_locked() const;  // mutex_ held

  const std::string pool_;
  const int64_t limit_;
  mutable std::mutex mutex_;
  std::list<Lease::Entry> leases_;
  int64_t leased_ = 0;
};

/// What the engine may hold on a host: min(configured, total - reserve, cgroup limit - reserve). The reserve, unless
/// configured, is a tenth of the total and at least 1 GiB, at most a quarter.
struct HostLimits {
  int64_t configured_bytes = 0;  // 0: automatic
  int64_t reserve_bytes = 0;     // 0: automatic
};
int64_t host_budget_bytes(const machine::HostMemory& memory, const HostLimits& limits);

/// An Allocator that takes a lease before it allocates; what the rest of the program uses for lasting memory.
/// Must outlive the Storage it hands out.
class LeasedAllocator final : public Allocator, private StorageOwner {
 public:
  LeasedAllocator(Budget& budget, Device device) : budget_(budget), device_(device) {}
  Device device() const override { return device_; }
  Result<StorageRef> allocate(int64_t bytes, std::string_view holder) override;
  Result<StorageRef> book(int64_t bytes, std::string_view holder) override;
  Budget& budget() { return budget_; }

 private:
  struct Held;
  void release(Storage* storage) noexcept override;
  Budget& budget_;
  Device device_;
};

}  // namespace hearth::governor
