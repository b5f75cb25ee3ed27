#include "runtime/generate/scheduler.h"

#include <algorithm>

#include "core/base/units.h"

namespace hearth {
namespace {

std::vector<PagePool> make_pools(const SchedulerLimits& limits) {
  std::vector<PagePool> pools;
  for (int64_t pages : limits.pages) pools.emplace_back(pages);
  return pools;
}

bool is_planned(const Sequence& sequence, const std::vector<Scheduler::Piece>& pieces) {
  return std::any_of(pieces.begin(), pieces.end(), [&](const auto& piece) { return piece.sequence == &sequence; });
}

}  // namespace

Scheduler::Scheduler(const StateSpec& spec, SchedulerLimits limits, PageBacking* backing)
    : spec_(spec), limits_(std::move(limits)), backing_(backing), pools_(make_pools(limits_)),
      cache_(spec_, limits_.page_tokens, pools_) {
  check(pools_.size() == spec_.groups.size(), "one page pool per state group");
}

void Scheduler::add(Sequence& sequence) {
  check(!sequence.tokens.empty(), "a sequence has a prompt");
  sequence.arrival = arrivals_++;
  waiting_.push_back(&sequence);
}

std::vector<Scheduler::Piece> Scheduler::plan() {
  std::lock_guard lock(mutex_);
  std::vector<Piece> pieces;
  int64_t rows_left = limits_.max_rows;
  // Copies: preemption changes running_ while we walk.
  for (bool decoding : {true, false}) {
    const std::vector<Sequence*> order = running_;
    for (Sequence* sequence : order) {
      if (rows_left == 0) break;
      bool still_runs = std::find(running_.begin(), running_.end(), sequence) != running_.end();
      if (!still_runs || sequence->uncomputed() == 0 || is_planned(*sequence, pieces)) continue;
      if ((sequence->uncomputed() == 1) != decoding) continue;
      if (plan_piece(*sequence, rows_left, pieces)) rows_left -= pieces.back().count;
    }
  }
  while (rows_left > 0 && !waiting_.empty() && running() < limits_.max_running && unclaimed_logit_rows(pieces) > 0) {
    Sequence* next = waiting_.front();
    if (next->waits_for && next->waits_for->computed < next->prompt_tokens) break;
    if (!start(*next, rows_left) || !plan_piece(*next, rows_left, pieces)) break;
    rows_left -= pieces.back().count;
  }
  check(!pieces.empty() || !running_.empty() || waiting_.empty(),
        "a sequence alone fits the pages; admission saw to it");
  return pieces;
}

// Takes the first waiting sequence to running, behind whatever the prefix cache already has of it. False, and nothing
// changed, when its first piece has no room: others run on, and it must not be preempted again every step meanwhile.
bool Scheduler::start(Sequence& sequence, int64_t rows) {
  if (limits_.reuse_prefixes && !sequence.scores_prompt) {
    // At least one token is computed, or there would be no logits.
    int64_t most = (static_cast<int64_t>(sequence.tokens.size()) - 1) / limits_.page_tokens;
    for (const PrefixCache::Block& block : cache_.find(sequence.tokens, most)) {
      sequence.pages.push_back(block.pages);
      sequence.last_key = block.key;
    }
    sequence.registered_blocks = static_cast<int64_t>(sequence.pages.size());
    sequence.computed = sequence.registered_blocks * limits_.page_tokens;
  }
  if (!has_room_for(sequence, sequence.computed + std::min(sequence.uncomputed(), rows))) {
    drop_pages(sequence);
    return false;
  }
  if (sequence.preemptions == 0) sequence.cached_tokens = std::min(sequence.computed, sequence.prompt_tokens);
  auto place = std::find_if(running_.begin(), running_.end(),
                            [&](const Sequence* other) { return other->arrival > sequence.arrival; });
  running_.insert(place, &sequence);
  sequence.waits_for = nullptr;
  waiting_.pop_front();
  return true;
}

// Whether free pages and pages only the cache holds cover the first `tokens` tokens, without preempting anybody.
bool Scheduler::has_room_for(const Sequence& sequence, int64_t tokens) const {
  const int64_t blocks = ceil_div(tokens, limits_.page_tokens) - static_cast<int64_t>(sequence.pages.size());
  for (size_t g = 0; g < pools_.size(); ++g) {
    if (pools_[g].free_pages() < blocks && pools_[g].free_pages() + cache_.evictable(static_cast<int>(g)) < blocks) {
      return false;
    }
  }
  return true;
}

// There is a row of logits for each sequence that may run; those that neither the planned pieces use nor a running
// sequence still to be planned may need can score prompt tokens.
int64_t Scheduler::unclaimed_logit_rows(const std::vector<Piece>& pieces) const {
  int64_t claimed = running() - static_cast<int64_t>(pieces.size());
  for (const Piece& piece : pieces) claimed += piece.kept_rows();
  return limits_.max_running - claimed;
}

bool Scheduler::plan_piece(Sequence& sequence, int64_t rows_left, std::vector<Piece>& pieces) {
  const bool keeps_all = sequence.scores_prompt && sequence.computed < sequence.prompt_tokens;
  int64_t count = std::min(sequence.uncomputed(), rows_left);
  if (keeps_all) count = std::min(count, 1 + unclaimed_logit_rows(pieces));
  check(count > 0, "a running sequence has something to compute");
  drop_behind_windows(sequence);
  if (!make_room_for(sequence, sequence.computed + count, pieces)) return false;
  pieces.push_back({&sequence, sequence.computed, count, keeps_all});
  return true;
}

// Pages for the first `tokens` tokens. Preempts younger work; when the sequence itself is the youngest it steps back.
bool Scheduler::make_room_for(Sequence& sequence, int64_t tokens, const std::vector<Piece>& planned) {
  while (!reserve(sequence, tokens)) {
    Sequence* victim = choose_victim(sequence, planned);
    if (!victim) {
      throw Error::bug("a sequence running alone does not fit its pages; admission let it in");
    }
    preempt(*victim);
    if (victim == &sequence) return false;
  }
  return true;
}

bool Scheduler::reserve(Sequence& sequence, int64_t tokens) {
  int64_t blocks = ceil_div(tokens, limits_.page_tokens);
  while (static_cast<int64_t>(sequence.pages.size()) < blocks) {
    BlockPages block{};
    if (!take_block(block)) return false;
    sequence.pages.push_back(block);
  }
  return true;
}

bool Scheduler::take_block(BlockPages& block) {
  for (size_t g = 0; g < pools_.size(); ++g) {
    if (pools_[g].free_pages() == 0 && !cache_.evict_one(static_cast<int>(g))) {
      for (size_t taken = 0; taken < g; ++taken) pools_[taken].drop(block[taken]);
      return false;
    }
    block[g] = pools_[g].take();
  }
  return true;
}

// The youngest of the lowest class that is not already part of this step; the asker itself counts.
Sequence* Scheduler::choose_victim(const Sequence& for_whom, const std::vector<Piece>& planned) const {
  Sequence* victim = nullptr;
  for (Sequence* candidate : running_) {
    if (is_planned(*candidate, planned)) continue;
    bool is_lower = !victim || candidate->work_class > victim->work_class ||
                    (candidate->work_class == victim->work_class && candidate->arrival > victim->arrival);
    if (is_lower) victim = candidate;
  }
  bool asker_ranks_lower =
      victim && (for_whom.work_class > victim->work_class ||
                 (for_whom.work_class == victim->work_class && for_whom.arrival > victim->arrival));
  check(!asker_ranks_lower, "the asker is among the candidates");
  // Alone in the step and alone running: no victim, by definition of admission.
  return running_.size() == 1 ? nullptr : victim;
}

void Scheduler::preempt(Sequence& sequence) {
  ++preemptions_;
  ++sequence.preemptions;
  drop_pages(sequence);
  std::erase(running_, &sequence);
  auto place = std::find_if(waiting_.begin(), waiting_.end(),
                            [&](const Sequence* other) { return other->arrival > sequence.arrival; });
  waiting_.insert(place, &sequence);
}

void Scheduler::drop_behind_windows(Sequence& sequence) {
  for (size_t g = 0; g < spec_.groups.size(); ++g) {
    if (spec_.groups[g].kind != StateKind::kWindowPages) continue;
    // The next query sits at `computed` and sees window positions, itself included.
    int64_t first_seen = std::max<int64_t>(sequence.computed - spec_.groups[g].window + 1, 0);
    int64_t passed = std::min<int64_t>(first_seen / limits_.page_tokens, static_cast<int64_t>(sequence.pages.size()));
    for (int64_t i = passed - 1; i >= 0 && sequence.pages[i][g] != kScratchPage; --i) {
      pools_[g].drop(sequence.pages[i][g]);
      sequence.pages[i][g] = kScratchPage;
    }
  }
}

void Scheduler::drop_pages(Sequence& sequence) {
  for (const BlockPages& block : sequence.pages) {
    for (size_t g = 0; g < pools_.size(); ++g) {
      if (block[g] != kScratchPage) pools_[g].drop(block[g]);
    }
  }
  sequence.pages.clear();
  sequence.computed = 0;
  sequence.registered_blocks = 0;
  sequence.last_key = PrefixCache::kRoot;
}

void Scheduler::commit(std::span<const Piece> pieces) {
  std::lock_guard lock(mutex_);
  for (const Piece& piece : pieces) {
    piece.sequence->computed = piece.first + piece.count;
    register_blocks(*piece.sequence);
  }
}

void Scheduler::register_blocks(Sequence& sequence) {
  if (!limits_.reuse_prefixes) return;
  std::span<const int32_t> tokens(sequence.tokens);
  while ((sequence.registered_blocks + 1) * limits_.page_tokens <= sequence.computed) {
    int64_t i = sequence.registered_blocks++;
    sequence.last_key = cache_.insert(sequence.last_key, tokens.subspan(i * limits_.page_tokens, limits_.page_tokens),
                                      sequence.pages[i]);
  }
}

void Scheduler::remove(Sequence& sequence) {
  std::lock_guard lock(mutex_);
  for (size_t g = 0; g < pools_.size(); ++g) promised_[g] -= std::exchange(sequence.promised[g], 0);
  std::erase(waiting_, &sequence);
  for (Sequence* other : waiting_) {
    if (other->waits_for == &sequence) other->waits_for = nullptr;
  }
  if (std::erase(running_, &sequence) == 0) return;
  if (limits_.reuse_prefixes) {
    cache_.touch(std::span<const int32_t>(sequence.tokens).first(sequence.registered_blocks * limits_.page_tokens));
  }
  drop_pages(sequence);
}

Scheduler::Pages Scheduler::pages() const {
  std::lock_guard lock(mutex_);
  Pages now;
  for (size_t g = 0; g < pools_.size(); ++g) {
    now.total += pools_[g].size() - pools_[g].away_pages();
    now.free += pools_[g].free_pages();
    now.cached += cache_.evictable(static_cast<int>(g));
  }
  return now;
}

}  // namespace hearth
