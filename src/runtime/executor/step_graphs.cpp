#include "runtime/executor/step_graphs.h"

#include <iterator>

namespace hearth {

StepGraphs::Entry& StepGraphs::entry(uint64_t key) {
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->key != key) continue;
    entries_.splice(entries_.end(), entries_, entry);
    return entries_.back();
  }
  if (entries_.size() == kMaxKeys) {
    driver_bytes_ -= entries_.front().driver_bytes;
    entries_.pop_front();
  }
  entries_.push_back({.key = key});
  return entries_.back();
}

void StepGraphs::clear() {
  entries_.clear();
  driver_bytes_ = 0;
}

void StepGraphs::add_driver_bytes(Entry& entry, int64_t bytes) {
  entry.driver_bytes += bytes;
  driver_bytes_ += bytes;
}

}  // namespace hearth
