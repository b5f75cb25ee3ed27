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

int64_t Evictor::shrink_all(int64_t bytes, bool with_cached, const std::string& but) {
  int64_t given = 0;
  for (Resider* resider : residers_) {
    if (given < bytes) given += resider->shrink(bytes - given, with_cached, but);
  }
  return given;
}

int64_t Evictor::shrink(int64_t bytes) {
  std::shared_lock lock(mutex_);
  return shrink_all(bytes, /*with_cached=*/true, "");
}

bool Evictor::make_room(int64_t bytes, const std::string& but, const std::string& why) {
  std::shared_lock lock(mutex_);
  bool did_change = false;
  for (Resider* resider : residers_) did_change |= resider->wait_for_leaving();
  if (did_change) return true;
  Seen seen = look();
  int64_t unused = 0;
  for (Resident& resident : seen.all) {
    if (resident.name == but) {
      resident.is_busy = true;
      resident.unused_bytes = resident.cached_bytes = 0;
    }
    unused += resident.unused_bytes;
  }
  // Enough in the budget means that the machine itself is short: whatever leaves helps a little.
  const int64_t short_by = bytes - budget_.headroom_bytes(), missing = std::max<int64_t>(short_by, 1);
  if (unused >= missing && shrink_all(short_by > 0 ? short_by : bytes, /*with_cached=*/false, but) > 0) return true;
  std::vector<size_t> leaving = choose_leaving(seen.all, missing);
  if (leaving.empty()) {  // everybody who may go is not enough: with what the others can spare it may be
    const int64_t spare = spare_of_staying(seen.all);
    leaving = choose_leaving(seen.all, missing - spare);
    if (missing <= spare || !leaving.empty()) did_change = shrink_all(missing, /*with_cached=*/true, but) > 0;
  }
  for (size_t i : leaving) did_change |= evict(seen, i, why);
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
  for (const Resident& resident : seen.all) {
    if (!resident.may_leave() && resident.spare_bytes() > 0) {
      out.push_back({"spare pages of " + resident.name, resident.spare_bytes()});
    }
  }
  return out;
}

}  // namespace hearth::governor
