// Scheduler: which tokens of which sequences the next step computes. It owns the page pools and the prefix cache and
// touches no device: plan() decides, commit() records. Decoding sequences come first (one row each), then prompts in
// chunks, oldest first, up to max_rows. When pages run out cached blocks go first, then the youngest sequence of the
// lowest class is preempted: its pages are dropped and it is computed again later, so nothing deadlocks as long as one
// sequence fits alone (admission checks that).
// Where the state has a PageBacking, pages that no sequence was promised can be given back to the machine; claim()
// takes what a new sequence may need again before it is added. One thread, but for what says "any thread".
#pragma once
#include <cstdint>
#include <deque>
#include <mutex>
#include <span>
#include <vector>

#include "core/base/result.h"
#include "runtime/generate/sequence.h"
#include "runtime/state/page_backing.h"

namespace hearth {

struct SchedulerLimits {
  int64_t max_rows = 256;       // rows of one step
  int64_t max_running = 8;      // sequences that hold pages
  int64_t page_tokens = 32;
  int64_t context = 0;          // tokens one sequence may have
  std::vector<int64_t> pages;   // per state group, the scratch page included
  bool reuse_prefixes = true;
};

class Scheduler {
 public:
  /// `backing` outlives the scheduler; null: every page stays.
  Scheduler(const StateSpec& spec, SchedulerLimits limits, PageBacking* backing = nullptr);

  struct Piece {  // tokens [first, first + count) of a sequence
    Sequence* sequence = nullptr;
    int64_t first = 0, count = 0;
    bool keeps_all = false;  // every row's logits are wanted (to score a text), not just the last one's

    /// The last row's logits are wanted: the piece reaches the end of what is known.
    bool is_sampled() const { return first + count == static_cast<int64_t>(sequence->tokens.size()); }
    int64_t kept_rows() const { return keeps_all ? count : is_sampled(); }
  };

  /// Promises pages for all that these sequences may need, taking those again that were given back: what is promised
  /// stays until remove(). kNoMemory, and nothing promised, when the memory cannot be had. Calls the backing with no
  /// lock held. Also takes some of the other pages back while there is room for them, few of them while others wait for
  /// their next step.
  Result<void> claim(std::span<Sequence* const> sequences);

  /// Memory that no sequence was promised.
  struct Spare {
    int64_t unused_bytes = 0;  // of pages that hold nothing
    int64_t cached_bytes = 0;  // of pages kept for their prefix
  };
  Spare spare() const;  // any thread
  /// Gives about `bytes` of it back to the machine, pages that hold nothing first and cached ones only `with_cached`;
  /// the bytes given back. About kMostShrinkBytes a call, as no step is planned meanwhile: who wants more calls again.
  /// Any thread.
  int64_t shrink(int64_t bytes, bool with_cached);
  static constexpr int64_t kMostShrinkBytes = int64_t{256} << 20;
  /// Tokens that each of so many sequences could have with the pages that are here, were they alone.
  int64_t room_tokens(int64_t sequences) const;
  /// Bytes of pages that were given back. Any thread.
  int64_t away_bytes() const;

  /// Queues a sequence; it must stay alive until remove().
  void add(Sequence& sequence);
  /// Chooses the next step and takes its pages. Empty when there is nothing to do.
  std::vector<Piece> plan();
  /// The step ran: its tokens are computed, finished blocks enter the prefix cache.
  void commit(std::span<const Piece> pieces);
  /// Forgets a sequence, running or waiting, and drops its pages.
  void remove(Sequence& sequence);

  bool is_idle() const { return running_.empty() && waiting_.empty(); }
  int64_t running() const { return static_cast<int64_t>(running_.size()); }
  int64_t waiting() const { return static_cast<int64_t>(waiting_.size()); }
  uint64_t preemptions() const { return preemptions_; }
  /// Another sequence could run, as far as their number goes.
  bool has_place() const { return running() + waiting() < limits_.max_running; }

  struct Pages {         // at one moment; what was given back is not among them
    int64_t total = 0;
    int64_t free = 0;
    int64_t cached = 0;  // held by nobody but the prefix cache
    int64_t used() const { return total - free - cached; }
  };
  Pages pages() const;   // any thread
  /// Empties the prefix cache.
  void drop_cache() {
    std::lock_guard lock(mutex_);
    cache_.clear();
  }

 private:
  BlockCounts pages_for(const Sequence& sequence) const;
  int64_t shrinkable(size_t group) const;
  GroupPages recall(const BlockCounts& counts);
  Result<void> take_again(const GroupPages& coming);
  void restore_some(int64_t bytes);
  int64_t unclaimed_logit_rows(const std::vector<Piece>& pieces) const;
  bool plan_piece(Sequence& sequence, int64_t rows_left, std::vector<Piece>& pieces);
  bool reserve(Sequence& sequence, int64_t tokens);
  bool take_block(BlockPages& block);
  bool make_room_for(Sequence& sequence, int64_t tokens, const std::vector<Piece>& planned);
  Sequence* choose_victim(const Sequence& for_whom, const std::vector<Piece>& planned) const;
  void preempt(Sequence& sequence);
  void drop_behind_windows(Sequence& sequence);
  void drop_pages(Sequence& sequence);
  bool start(Sequence& sequence, int64_t rows);
  bool has_room_for(const Sequence& sequence, int64_t tokens) const;
  void register_blocks(Sequence& sequence);

  const StateSpec spec_;
  const SchedulerLimits limits_;
  PageBacking* const backing_;
  mutable std::mutex mutex_;        // guards the three below; held while pages are given back, not while they are taken
  std::vector<PagePool> pools_;
  PrefixCache cache_;
  BlockCounts promised_{};
  std::deque<Sequence*> waiting_;   // oldest first
  std::vector<Sequence*> running_;  // in order of arrival
  uint64_t arrivals_ = 0;
  uint64_t preemptions_ = 0;
};

}  // namespace hearth
