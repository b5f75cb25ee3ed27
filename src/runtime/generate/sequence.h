// Sequence: one timeline of tokens (one choice of one request) and where its keys and values are. The scheduler owns
// the page bookkeeping; the session's loop thread is the only one that touches a Sequence.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "runtime/executor/plan_slice.h"
#include "runtime/state/prefix_cache.h"

namespace hearth {

struct Sequence {
  std::vector<int32_t> tokens;    // prompt, then what was generated
  int64_t prompt_tokens = 0;
  int64_t computed = 0;           // leading tokens whose keys and values are in pages
  int64_t cached_tokens = 0;      // of the prompt, found in the prefix cache on first admission
  std::vector<BlockPages> pages;  // one per block; kScratchPage where a window has passed
  uint64_t last_key = PrefixCache::kRoot;  // prefix-cache key of the last registered block
  int64_t registered_blocks = 0;
  uint64_t arrival = 0;           // larger is younger
  WorkClass work_class = WorkClass::kInteractive;
  int preemptions = 0;
  int64_t most_tokens = 0;        // it will ever have; 0: not known, a whole context
  BlockCounts promised{};         // pages kept for it; see Scheduler::claim()
  bool scores_prompt = false;     // logits of every prompt token are wanted, so none comes from the prefix cache
  const Sequence* waits_for = nullptr;  // a sibling with the same prompt that computes it first

  int64_t uncomputed() const { return static_cast<int64_t>(tokens.size()) - computed; }
};

}  // namespace hearth
