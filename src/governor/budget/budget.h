// Budget: the one account of a memory pool. Whoever wants memory takes a lease first; a lease is the right to hold that
// many bytes until it is dropped. There is no overdraft: a refusal says what was needed, what is free and who holds the
// rest, in words and as numbers (refusal.h). Thread-safe. Leases may outlive nothing: the Budget lives as long as the
// process's engine.
#pragma once
#include <algorithm>
#include <atomic>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/result.h"
#include "core/device/allocator.h"
#include "governor/budget/journal.h"
#include "governor/budget/refusal.h"
#include "machine/memory.h"

namespace hearth::governor {

class Budget;

/// What is leased of a pool for other programs, and what of it they are known to have taken.
struct Promise {
  int64_t bytes = 0, taken_bytes = 0;
  int64_t left_bytes() const { return bytes - taken_bytes; }
};

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
  /// That many bytes more under the same holder, or kNoMemory as Budget::take() says it.
  Result<void> grow(int64_t bytes);
  void shrink(int64_t bytes);

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

class Budget {
 public:
  Budget(std::string pool, int64_t limit_bytes) : pool_(std::move(pool)), fixed_limit_(limit_bytes) {}
  /// `limit` is asked at each take: a machine's limit may change while the program runs. Any thread.
  Budget(std::string pool, std::function<int64_t()> limit) : pool_(std::move(pool)), limit_(std::move(limit)) {}

  /// What lies behind a pool that others take from too: what it can give beside what is leased, less than nothing where
  /// it is overdrawn, and what is taken of it without a lease.
  struct Room {
    int64_t bytes = 0, others_bytes = 0;
  };

  /// kNoMemory, with numbers and the largest holders, when `bytes` do not fit. `is_there`: they are taken already, and
  /// only the account is asked.
  Result<Lease> take(int64_t bytes, std::string_view holder, bool is_there = false);

  const std::string& pool() const { return pool_; }
  int64_t limit_bytes() const { return limit_ ? limit_() : fixed_limit_; }
  int64_t leased_bytes() const;
  /// The most that ever was leased at once.
  int64_t peak_bytes() const;
  /// Leased, and not yet taken from the machine: it still calls them available, so whoever looks there subtracts them.
  int64_t untouched_bytes() const { return untouched_; }
  /// What a lease could have now; less than nothing where the pool is overdrawn. Throws as the pool's room does.
  int64_t headroom_bytes() const;
  int64_t free_bytes() const { return std::max<int64_t>(headroom_bytes(), 0); }
  /// Of the pool's memory, what is taken without a lease; 0 where nobody can say.
  int64_t others_bytes() const;
  /// Leases summed by holder, largest first.
  std::vector<Holding> holdings() const;

  /// What refusals say beside the account itself. Set before the first take; `idle` names what could leave.
  void set_reserve_bytes(int64_t bytes) { reserve_ = bytes; }
  /// Asked at each take, of what is not there yet. Set before the first one.
  void set_room(std::function<Room()> room) { room_ = std::move(room); }
  void set_idle(std::function<std::vector<Holding>()> idle) { idle_ = std::move(idle); }
  /// What a refusal of `needed` bytes for `holder` would say now.
  Refusal refusal(int64_t needed, std::string_view holder) const;
  Journal& journal() { return journal_; }

 private:
  friend class Lease;
  friend class LeasedAllocator;
  Result<void> add(Lease::Entry& entry, int64_t bytes, bool is_there);
  Refusal refusal(int64_t needed, std::string_view holder, const std::optional<Room>& room) const;
  void give_back(std::list<Lease::Entry>::iterator entry);
  std::vector<Holding> holdings_locked() const;  // mutex_ held

  const std::string pool_;
  const int64_t fixed_limit_ = 0;
  const std::function<int64_t()> limit_;
  int64_t reserve_ = 0;
  std::function<std::vector<Holding>()> idle_;
  std::function<Room()> room_;
  Journal journal_;
  mutable std::mutex mutex_;
  std::list<Lease::Entry> leases_;
  int64_t leased_ = 0, peak_ = 0;
  std::atomic<int64_t> untouched_{0};
};

/// What the engine may hold on a host: min(configured, total - reserve, cgroup limit - reserve). The reserve, unless
/// configured, is a tenth of the total and at least 1 GiB, at most a quarter.
struct HostLimits {
  int64_t configured_bytes = 0;  // 0: automatic
  int64_t reserve_bytes = 0;     // 0: automatic
};
int64_t host_budget_bytes(const machine::HostMemory& memory, const HostLimits& limits);

/// Bytes of a Storage.
struct ByteRange {
  int64_t begin = 0, bytes = 0;
};

/// An Allocator that takes a lease before it allocates; what the rest of the program uses for lasting memory. Host
/// memory is really there when it is handed out, or, untouched, when it is filled: its pages are taken in steps, with a
/// look at the machine before each, so that leases and resident memory agree and a step that would hurt the machine is
/// refused. Memory of a GPU that shares the host's is taken in the same steps, all of them before it is handed out.
/// Must outlive the Storage it hands out.
class LeasedAllocator final : public Allocator, private StorageOwner {
 public:
  /// May that many bytes more be taken from the machine at once? Any thread.
  using Look = std::function<Result<void>(int64_t bytes)>;
  /// Addresses for what is taken in steps; null where it is taken in one piece. Any thread.
  using Reserve = std::function<Result<std::unique_ptr<GrowingMemory>>(int64_t bytes)>;
  static constexpr int64_t kStepBytes = int64_t{1} << 30;

  /// `step_bytes` is taken between two looks. `reserve` stands for raw_reserve() in tests.
  LeasedAllocator(Budget& budget, Device device, Look look = {}, int64_t step_bytes = kStepBytes, Reserve reserve = {})
      : budget_(budget), device_(device), look_(std::move(look)), step_bytes_(step_bytes),
        reserve_(reserve ? std::move(reserve) : [device](int64_t bytes) { return raw_reserve(device, bytes); }) {}
  Device device() const override { return device_; }
  Result<StorageRef> allocate(int64_t bytes, std::string_view holder) override;
  Result<StorageRef> allocate_untouched(int64_t bytes, std::string_view holder) override;
  Result<void> may_allocate(int64_t bytes, std::string_view holder) override;
  Result<StorageRef> book(int64_t bytes, std::string_view holder) override;
  Budget& budget() { return budget_; }

  /// Gives parts of a Storage of this allocator back to the machine, whole memory pages only, and their share of its
  /// lease. What they held is lost, and they must not be touched before take_again(). Host memory only; any thread.
  void give_back(Storage& storage, std::span<const ByteRange> parts);
  /// Takes them again, zeroed: leased, looked at and really there, or refused as allocate() does with nothing changed.
  Result<void> take_again(Storage& storage, std::span<const ByteRange> parts);
  /// The program is about to end: what is being taken is given back within a moment, whatever its size, with
  /// kCancelled. What is smaller than a piece goes on being handed out.
  void cancel_growth() { is_cancelled_ = true; }

 private:
  static constexpr int64_t kPieceBytes = int64_t{64} << 20;
  struct Held;
  void release(Storage* storage) noexcept override;
  void take_pages(Storage& storage, int64_t offset, int64_t bytes) override;
  Result<std::byte*> in_one_piece(int64_t bytes, int64_t whole);
  Result<void> grow(Held& held, int64_t bytes);
  Result<void> begin_step(Held& held, int64_t bytes, bool is_first);
  Result<void> populate_parts(Held& held, std::span<const ByteRange> parts, int64_t& left);
  Result<void> look(int64_t bytes, std::string_view holder) const;
  Error refused_by_machine(int64_t bytes, std::string_view holder, const Error& why) const;
  Budget& budget_;
  const Device device_;
  const Look look_;
  const int64_t step_bytes_;
  const Reserve reserve_;
  std::atomic<bool> is_cancelled_{false};
};

}  // namespace hearth::governor
