#include "runtime/executor/step_graphs.h"

#include <iterator>

namespace hearth {

StepGraphs::Entry& StepGraphs::entry(uint64_t key) {
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    if (entry->key != key) continue;
    entries_.splice(entries_.end(), entries_, entry);
    return entries_.back();
  }
  if (entries_.size() == kMaxKeys) entries_.pop_front();
  entries_.push_back({.key = key});
  return entries_.back();
}

}  // namespace hearth
