#include "runtime/diffuse/residency.h"

#include <algorithm>

#include "core/base/log.h"
#include "core/base/units.h"

namespace hearth::diffuse {
namespace {

bool is_idle(const std::shared_ptr<const Part>& part) { return part.use_count() == 1; }

}  // namespace

void Residency::set_make_room(MakeRoom make_room) {
  std::lock_guard lock(mutex_);
  make_room_ = std::move(make_room);
}

std::shared_ptr<const Part> Residency::find(const std::string& key) {
  std::lock_guard lock(mutex_);
  const auto found = std::find_if(held_.begin(), held_.end(), [&](const Held& held) { return held.key == key; });
  if (found == held_.end()) return nullptr;
  held_.splice(held_.end(), held_, found);
  return found->part;
}

std::shared_ptr<const Part> Residency::use(const std::string& key,
                                           const std::function<std::shared_ptr<const Part>()>& make) {
  if (auto part = find(key)) return part;
  std::lock_guard one_at_a_time(making_);
  if (auto part = find(key)) return part;
  std::shared_ptr<const Part> part = make();
  std::lock_guard lock(mutex_);
  held_.push_back({key, part});
  return part;
}

StorageRef Residency::allocate(int64_t bytes, std::string_view holder) {
  for (;;) {
    Result<StorageRef> storage = memory_.allocate(bytes, holder);
    if (storage) return *std::move(storage);
    if (storage.error().code() != Code::kNoMemory) throw storage.error();
    if (evict_one()) continue;
    MakeRoom make_room;
    {
      std::lock_guard lock(mutex_);
      make_room = make_room_;
    }
    if (!make_room || !make_room(bytes)) throw storage.error();
  }
}

Tensor Residency::tensor(DType dtype, Shape shape, std::string_view holder) {
  return Tensor(allocate(row_bytes(dtype, shape.numel()), holder), dtype, shape);
}

bool Residency::evict_one() {
  Held leaving;  // freed after the lock
  std::lock_guard lock(mutex_);
  const auto found = std::find_if(held_.begin(), held_.end(), [](const Held& held) { return is_idle(held.part); });
  if (found == held_.end()) return false;
  leaving = std::move(*found);
  held_.erase(found);
  log::info("unloading {}: {}", leaving.key, format_bytes(leaving.part->bytes()));
  return true;
}

void Residency::evict_idle() {
  while (evict_one()) {
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
