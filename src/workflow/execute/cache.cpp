#include "workflow/execute/cache.h"

namespace hearth::workflow {

std::shared_ptr<const CacheEntry> Cache::find(const std::string& signature) {
  std::lock_guard lock(mutex_);
  auto found = by_signature_.find(signature);
  if (found == by_signature_.end()) return nullptr;
  order_.splice(order_.begin(), order_, found->second);
  return found->second->second;
}

void Cache::put(const std::string& signature, std::shared_ptr<const CacheEntry> entry) {
  std::lock_guard lock(mutex_);
  if (auto old = by_signature_.find(signature); old != by_signature_.end()) erase(old->second);
  if (entry->bytes > limit_) return;
  held_ += entry->bytes;
  order_.emplace_front(signature, std::move(entry));
  by_signature_[signature] = order_.begin();
  while (held_ > limit_) erase(std::prev(order_.end()));
}

void Cache::clear() {
  std::lock_guard lock(mutex_);
  while (!order_.empty()) erase(order_.begin());
}

void Cache::drop_models() {
  std::lock_guard lock(mutex_);
  for (auto entry = order_.begin(); entry != order_.end();) {
    auto next = std::next(entry);
    if (entry->second->keeps_model) erase(entry);
    entry = next;
  }
}

int64_t Cache::held_bytes() const {
  std::lock_guard lock(mutex_);
  return held_;
}

size_t Cache::size() const {
  std::lock_guard lock(mutex_);
  return order_.size();
}

void Cache::erase(Order::iterator entry) {
  held_ -= entry->second->bytes;
  by_signature_.erase(entry->first);
  order_.erase(entry);
}

}  // namespace hearth::workflow
