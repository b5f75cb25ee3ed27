// What a tokenizer's tables take, by the number of words and of merges: a hundredth of a small model, so that their
// growth by doubling matters and the length of each word does not.
#pragma once
#include <cstdint>

#include "core/device/device.h"
#include "models/load/checkpoint.h"

namespace hearth::planner {

struct Words {
  int64_t count = 0, merges = 0;  // merges: of byte pairs; 0 for other kinds
  /// As a checkpoint lists them; where it has none, `vocab` and as many merges.
  static Words of(const Checkpoint& checkpoint, int64_t vocab);
  /// In the pool of a model on `target`: beside a card with memory of its own they lie in another, 0.
  int64_t bytes(const Caps& target) const;
};

}  // namespace hearth::planner
