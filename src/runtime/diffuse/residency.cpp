#include "runtime/diffuse/residency.h"

#include <algorithm>
#include <chrono>

namespace hearth::diffuse {
namespace {

bool is_idle(const std::shared_ptr<const Part>& part) { return part.use_count() == 1; }

double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace

Residency::Residency(governor::LeasedAllocator& memory) : memory_(memory), own_evictor_(memory.budget()) {
  own_evictor_.add(*this);
}

std::shared_ptr<const Part> Residency::find(const std::string& key) {
  std::lock_guard lock(mutex_);
  const auto found = std::find_if(held_.begin(), held_.end(), [&](const Held& held) { return held.key == key; });
  if (found == held_.end()) return nullptr;
  found->used_s = now_s();
  return found->part;
}

std::shared_ptr<const Part> Residency::use(const std::string& key,
                                           const std::function<std::shared_ptr<const Part>()>& make) {
  if (auto part = find(key)) return part;
  std::lock_guard one_at_a_time(making_);
  if (auto part = find(key)) return part;
  const double begun_s = now_s();
  std::shared_ptr<const Part> part = make();
  std::lock_guard lock(mutex_);
  held_.push_back({key, part, now_s(), now_s() - begun_s});
  return part;
}

StorageRef Residency::allocate(int64_t bytes, std::string_view holder) {
  return with_room(bytes, holder, [&] { return memory_.allocate(bytes, holder); });
}

StorageRef Residency::allocate_untouched(int64_t bytes, std::string_view holder) {
  return with_room(bytes, holder, [&] { return memory_.allocate_untouched(bytes, holder); });
}

StorageRef Residency::book(int64_t bytes, std::string_view holder) {
  return with_room(bytes, holder, [&] { return memory_.book(bytes, holder); });
}

StorageRef Residency::with_room(int64_t bytes, std::string_view holder,
                                const std::function<Result<StorageRef>()>& take) {
  for (;;) {
    Result<StorageRef> storage = take();
    if (storage) return *std::move(storage);
    if (storage.error().code() != Code::kNoMemory) throw storage.error();
    if (evictor_->make_room(bytes, "", std::string(holder) + " needs room")) continue;
    memory_.budget().journal().refused(storage.error());
    throw storage.error();
  }
}

void Residency::make_room_for(std::string_view holder, const std::function<void()>& take) {
  for (;;) {
    try {
      return take();
    } catch (const Error& e) {
      const Value* needed = e.details() ? e.details()->find("needed_bytes") : nullptr;
      const bool is_short = e.code() == Code::kNoMemory && needed;
      if (is_short && evictor_->make_room(needed->as_int(), "", std::string(holder) + " needs room")) continue;
      if (is_short) memory_.budget().journal().refused(e);
      throw;
    }
  }
}

Tensor Residency::tensor(DType dtype, Shape shape, std::string_view holder) {
  return Tensor(allocate(row_bytes(dtype, shape.numel()), holder), dtype, shape);
}

std::vector<governor::Resident> Residency::residents() const {
  const double now = now_s();
  std::lock_guard lock(mutex_);
  std::vector<governor::Resident> out;
  for (const Held& held : held_) {
    out.push_back({.name = held.key, .bytes = held.part->bytes(), .idle_s = now - held.used_s,
                   .reload_s = held.reload_s, .is_busy = !is_idle(held.part)});
  }
  return out;
}

bool Residency::evict(const std::string& key) {
  Held leaving;  // freed after the lock
  std::lock_guard lock(mutex_);
  const auto found = std::find_if(held_.begin(), held_.end(), [&](const Held& held) {
    return held.key == key && is_idle(held.part);
  });
  if (found == held_.end()) return false;
  leaving = std::move(*found);
  held_.erase(found);
  return true;
}

void Residency::evict_idle() {
  while (own_evictor_.evict_one("asked to")) {
  }
}

int64_t Residency::idle_bytes() const {
  std::lock_guard lock(mutex_);
  int64_t bytes = 0;
  for (const Held& held : held_) bytes += is_idle(held.part) ? held.part->bytes() : 0;
  return bytes;
}

bool Residency::is_resident(std::string_view key) const {
  std::lock_guard lock(mutex_);
  return std::any_of(held_.begin(), held_.end(), [&](const Held& held) { return held.key == key; });
}

}  // namespace hearth::diffuse
