#include "governor/residency/evictor.h"

#include <algorithm>
#include <mutex>

#include "core/base/log.h"
#include "core/base/units.h"

namespace hearth::governor {

void Evictor::add(Resider& resider) {
  std::unique_lock lock(mutex_);
  residers_.push_back(&resider);
}

void Evictor::remove(Resider& resider) {
  std::unique_lock lock(mutex_);
  std::erase(residers_, &resider);
}

Evictor::Seen Evictor::look() const {
  Seen seen;
  for (Resider* resider : residers_) {
    for (Resident& resident : resider->residents()) {
      seen.all.push_back(std::move(resident));
      seen.whose.push_back(resider);
    }
  }
  return seen;
}

bool Evictor::evict(const Seen& seen, size_t index, const std::string& why) {
  const Resident& leaving = seen.all[index];
  if (!seen.whose[index]->evict(leaving.name)) return false;
  log::info("{} left memory: {}, {}", leaving.name, format_bytes(leaving.bytes), why);
  budget_.journal().add(Journal::Kind::kEviction, leaving.name, leaving.bytes, why);
  return true;
}

bool Evictor::make_room(int64_t bytes, const std::string& but, const std::string& why) {
  std::shared_lock lock(mutex_);
  bool did_change = false;
  for (Resider* resider : residers_) did_change |= resider->wait_for_leaving();
  if (did_change) return true;
  Seen seen = look();
  for (Resident& resident : seen.all) resident.is_busy |= resident.name == but;
  // Enough in the budget means that the machine itself is short: whatever leaves helps a little.
  const int64_t missing = std::max<int64_t>(bytes - budget_.free_bytes(), 1);
  for (size_t i : choose_leaving(seen.all, missing)) did_change |= evict(seen, i, why);
  if (did_change) return true;
  return std::any_of(residers_.begin(), residers_.end(), [](Resider* resider) { return resider->give_spare(); });
}

bool Evictor::evict_one(const std::string& why, bool even_pinned) {
  std::shared_lock lock(mutex_);
  Seen seen = look();
  for (Resident& resident : seen.all) resident.is_pinned &= !even_pinned;
  for (size_t i : leaving_order(seen.all)) {
    if (evict(seen, i, why)) return true;
  }
  return false;
}

std::vector<Holding> Evictor::idle() const {
  std::shared_lock lock(mutex_);
  const Seen seen = look();
  std::vector<Holding> out;
  for (size_t i : leaving_order(seen.all)) out.push_back({seen.all[i].name, seen.all[i].bytes});
  return out;
}

}  // namespace hearth::governor
