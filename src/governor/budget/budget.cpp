#include "governor/budget/budget.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include <fmt/format.h>

#include "core/base/units.h"

namespace hearth::governor {

Lease::~Lease() {
  if (budget_) budget_->give_back(entry_);
}

int64_t Lease::bytes() const {
  if (!budget_) return 0;
  std::lock_guard lock(budget_->mutex_);
  return entry_->bytes;
}

Result<void> Lease::grow(int64_t bytes) {
  check(budget_ && bytes >= 0, "a lease that is held grows");
  return budget_->add(*entry_, bytes, /*is_there=*/false);
}

void Lease::shrink(int64_t bytes) {
  check(budget_ && bytes >= 0, "a lease that is held shrinks");
  std::lock_guard lock(budget_->mutex_);
  check(bytes <= entry_->bytes, "a lease shrinks by what it holds");
  entry_->bytes -= bytes;
  budget_->leased_ -= bytes;
}

Result<void> Budget::add(Lease::Entry& entry, int64_t bytes, bool is_there) {
  const int64_t limit = limit_bytes();
  const std::optional<Room> room = room_ && !is_there ? std::optional(room_()) : std::nullopt;
  {
    std::lock_guard lock(mutex_);
    if (bytes <= limit - leased_ && (!room || bytes <= room->bytes)) {
      entry.bytes += bytes;
      leased_ += bytes;
      peak_ = std::max(peak_, leased_);
      return {};
    }
  }
  return Unexpected(to_error(refusal(bytes, entry.holder, room)));
}

Result<Lease> Budget::take(int64_t bytes, std::string_view holder, bool is_there) {
  check(bytes >= 0, "a lease has a size");
  Lease lease;
  {
    std::lock_guard lock(mutex_);
    lease = Lease(this, leases_.insert(leases_.end(), {std::string(holder), 0}));
  }
  if (Result<void> added = add(*lease.entry_, bytes, is_there); !added) return Unexpected(added.error());
  return lease;
}

int64_t Budget::headroom_bytes() const {
  const int64_t left = limit_bytes() - leased_bytes();
  return room_ ? std::min(left, room_().bytes) : left;
}

int64_t Budget::others_bytes() const try {
  return room_ ? room_().others_bytes : 0;
} catch (const Error&) {  // a device that does not answer: whoever needs its memory is told
  return 0;
}

Refusal Budget::refusal(int64_t needed, std::string_view holder) const {
  return refusal(needed, holder, room_ ? std::optional(room_()) : std::nullopt);
}

Refusal Budget::refusal(int64_t needed, std::string_view holder, const std::optional<Room>& room) const {
  Refusal refusal{.pool = pool_, .wanted_by = std::string(holder), .needed_bytes = needed,
                  .budget_bytes = limit_bytes(), .reserve_bytes = reserve_};
  {
    std::lock_guard lock(mutex_);
    refusal.leased_bytes = leased_;
    refusal.holders = holdings_locked();
  }
  if (room) {
    refusal.others_bytes = room->others_bytes;
    if (room->bytes < refusal.available_bytes()) {
      refusal.machine_bytes = std::max<int64_t>(room->bytes, 0);
      refusal.reason = fmt::format("it has {} to give, other programs hold {}", format_bytes(*refusal.machine_bytes),
                                   format_bytes(room->others_bytes));
    }
  }
  if (idle_) refusal.could_leave = idle_();  // without the lock: who is asked may hold others and wait for this one
  return refusal;
}

int64_t Budget::peak_bytes() const {
  std::lock_guard lock(mutex_);
  return peak_;
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
    if (lease.bytes == 0) continue;  // not given yet
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

namespace {

// The kernel zeroes every whole page of [from, to) once; those at the ends come with what is written to them.
bool populate(std::byte* data, int64_t from, int64_t to) {
  constexpr int64_t kPage = 4096;
  const int64_t begin = round_up(from, kPage), end = to / kPage * kPage;
  if (begin >= end || ::madvise(data + begin, static_cast<size_t>(end - begin), MADV_POPULATE_WRITE) == 0) return true;
  if (errno != EINVAL) return false;
  // A kernel older than 5.14. What is there stays: reads may be landing in these pages.
  for (int64_t at = begin; at < end; at += kPage) {
    std::byte nothing{0};
    std::atomic_ref(data[at]).compare_exchange_strong(nothing, std::byte{0});
  }
  return true;
}

}  // namespace

// The Storage first, so that release() finds its lease.
struct LeasedAllocator::Held : Storage {
  using Storage::Storage;
  Lease lease;
  std::string holder;
  std::unique_ptr<GrowingMemory> grown;  // leaves before the lease does
  std::atomic<int64_t> touched{0};       // bytes whose pages are taken
  std::atomic<int64_t> untouched{0};     // its share of the budget's: bytes of the steps not begun
};

Result<StorageRef> LeasedAllocator::allocate(int64_t bytes, std::string_view holder) {
  Result<StorageRef> storage = allocate_untouched(bytes, holder);
  if (!storage) return storage;
  try {
    const int64_t piece = std::min(kPieceBytes, step_bytes_);
    for (int64_t done = 0; done < bytes; done += piece) (*storage)->take_pages(done, std::min(bytes - done, piece));
  } catch (const Error& refusal) {
    return Unexpected(refusal);
  }
  return storage;
}

Result<StorageRef> LeasedAllocator::allocate_untouched(int64_t bytes, std::string_view holder) {
  const int64_t whole = allocation_bytes(device_, bytes);
  Result<Lease> lease = budget_.take(whole, holder);
  if (!lease) return Unexpected(lease.error());
  // What cannot end well is not begun.
  if (Result<void> may = look_ && whole > 0 ? look_(whole) : Result<void>(); !may) {
    lease = Lease();
    return Unexpected(refused_by_machine(whole, holder, may.error()));
  }
  std::unique_ptr<GrowingMemory> addresses;
  if (device_.kind == DeviceKind::kCuda && whole > step_bytes_) {
    Result<std::unique_ptr<GrowingMemory>> reserved = reserve_(whole);
    if (!reserved) return Unexpected(refused_by_machine(whole, holder, reserved.error()));
    addresses = *std::move(reserved);
  }
  Result<std::byte*> data = addresses ? addresses->data() : in_one_piece(bytes, whole);
  if (!data) return Unexpected(refused_by_machine(whole, holder, data.error()));
  auto* held = new Held(this, *data, bytes);
  StorageRef storage(held);  // from here on it gives everything back
  held->lease = std::move(*lease);
  held->holder = holder;
  held->grown = std::move(addresses);
  if (device_.kind == DeviceKind::kCpu || held->grown) {
    held->untouched = whole;
    budget_.untouched_ += whole;
  }
  if (!held->grown) return storage;
  if (Result<void> there = grow(*held, whole); !there) return Unexpected(there.error());
  return storage;
}

Result<void> LeasedAllocator::may_allocate(int64_t bytes, std::string_view holder) {
  if (Result<Lease> lease = budget_.take(bytes, holder); !lease) return Unexpected(lease.error());
  return look(bytes, holder);
}

// A device's memory is not there before its driver answers; the host's pages come later.
Result<std::byte*> LeasedAllocator::in_one_piece(int64_t bytes, int64_t whole) {
  if (device_.kind == DeviceKind::kCpu) return raw_allocate(device_, bytes);
  budget_.untouched_ += whole;
  Result<std::byte*> data = nullptr;
  try {
    data = raw_allocate(device_, bytes);
  } catch (...) {
    budget_.untouched_ -= whole;
    throw;
  }
  budget_.untouched_ -= whole;
  return data;
}

Result<void> LeasedAllocator::grow(Held& held, int64_t bytes) {
  for (int64_t begin = 0; begin < bytes; begin += step_bytes_) {
    if (begin > 0 && is_cancelled_) return unexpected(Code::kCancelled, held.holder + ": given up");
    const int64_t step = std::min(step_bytes_, bytes - begin);
    if (Result<void> may = begin_step(held, step, begin == 0); !may) return may;
    const Result<void> there = held.grown->grow(step);
    if (!there) return Unexpected(refused_by_machine(step, held.holder, there.error()));
  }
  return {};
}

// The first step had its look when the lease was taken.
Result<void> LeasedAllocator::begin_step(Held& held, int64_t bytes, bool is_first) {
  held.untouched -= bytes;
  budget_.untouched_ -= bytes;
  return is_first ? Result<void>() : look(bytes, held.holder);
}

Result<void> LeasedAllocator::look(int64_t bytes, std::string_view holder) const {
  if (!look_ || bytes == 0) return {};
  Result<void> may = look_(bytes);
  if (may) return may;
  return Unexpected(refused_by_machine(bytes, holder, may.error()));
}

// What is wrong beside a want of memory is told as it is.
Error LeasedAllocator::refused_by_machine(int64_t bytes, std::string_view holder, const Error& why) const {
  if (why.code() != Code::kNoMemory) return why;
  return to_error(budget_.refusal(bytes, holder).because(why));
}

// A look before each step's first byte.
void LeasedAllocator::take_pages(Storage& storage, int64_t offset, int64_t bytes) {
  if (device_.kind != DeviceKind::kCpu) return;
  auto& held = static_cast<Held&>(storage);
  const int64_t before = held.touched.fetch_add(bytes), after = before + bytes;
  if (before > 0 && is_cancelled_) throw Error(Code::kCancelled, held.holder + ": given up");
  for (int64_t begin = round_up(before, step_bytes_); begin < std::min(after, held.bytes()); begin += step_bytes_) {
    begin_step(held, std::min(step_bytes_, held.bytes() - begin), begin == 0).value();
  }
  if (!populate(held.data(), offset, offset + bytes)) {
    throw Error(Code::kNoMemory, fmt::format("{}: the system gave {} of {}", held.holder, format_bytes(before),
                                             format_bytes(held.bytes())));
  }
}

// The machine first: a lease is never smaller than what is held.
void LeasedAllocator::give_back(Storage& storage, std::span<const ByteRange> parts) {
  check(device_.kind == DeviceKind::kCpu, "only the host's memory is given back in parts");
  auto& held = static_cast<Held&>(storage);
  int64_t given = 0;
  for (const ByteRange& part : parts) {
    const int failure = ::madvise(held.data() + part.begin, static_cast<size_t>(part.bytes), MADV_DONTNEED);
    check(failure == 0, "whole pages of an allocation can be given back");
    given += part.bytes;
  }
  held.lease.shrink(given);
}

Result<void> LeasedAllocator::take_again(Storage& storage, std::span<const ByteRange> parts) {
  auto& held = static_cast<Held&>(storage);
  int64_t left = 0;
  for (const ByteRange& part : parts) left += part.bytes;
  if (Result<void> leased = held.lease.grow(left); !leased) return leased;
  if (Result<void> may = look(left, held.holder); !may) {
    held.lease.shrink(left);
    return may;
  }
  budget_.untouched_ += left;
  Result<void> done = populate_parts(held, parts, left);
  budget_.untouched_ -= left;
  if (!done) give_back(storage, parts);
  return done;
}

// A look before each step but the first, which had one. `left`: bytes of the steps that are not begun.
Result<void> LeasedAllocator::populate_parts(Held& held, std::span<const ByteRange> parts, int64_t& left) {
  int64_t of_step = 0;
  bool is_first = true;
  for (const ByteRange& part : parts) {
    for (int64_t at = part.begin, end = part.begin + part.bytes; at < end;) {
      if (is_cancelled_) return unexpected(Code::kCancelled, held.holder + ": given up");
      if (of_step == 0) {
        of_step = std::min(left, step_bytes_);
        left -= of_step;
        budget_.untouched_ -= of_step;
        const Result<void> may = std::exchange(is_first, false) ? Result<void>() : look(of_step, held.holder);
        if (!may) return may;
      }
      const int64_t piece = std::min({end - at, kPieceBytes, of_step});
      if (!populate(held.data(), at, at + piece)) {
        return unexpected(Code::kNoMemory, fmt::format("{}: the system did not give {} back", held.holder,
                                                       format_bytes(left + of_step)));
      }
      at += piece;
      of_step -= piece;
    }
  }
  return {};
}

Result<StorageRef> LeasedAllocator::book(int64_t bytes, std::string_view holder) {
  Result<Lease> lease = budget_.take(bytes, holder, /*is_there=*/device_.kind == DeviceKind::kCuda);
  if (!lease) return Unexpected(lease.error());
  auto* held = new Held(this, nullptr, bytes);
  held->lease = std::move(*lease);
  return StorageRef(held);
}

void LeasedAllocator::release(Storage* storage) noexcept {
  auto* held = static_cast<Held*>(storage);
  budget_.untouched_ -= held->untouched;
  if (!held->grown) raw_free(device_, held->data(), held->bytes());
  delete held;
}

}  // namespace hearth::governor
