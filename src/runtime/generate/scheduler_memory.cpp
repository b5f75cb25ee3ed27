// The scheduler's side of giving memory back: what running work was promised stays, the rest may go.
#include <algorithm>
#include <limits>

#include "core/base/units.h"
#include "runtime/generate/scheduler.h"

namespace hearth {
namespace {

// What a request takes of the pages that went, beyond its own need, so that the prefix cache has room again. While
// others run it is what they do not feel: 0.25 s a GiB.
constexpr int64_t kRestoreBytes = 256 * MiB, kRestoreBesideOthersBytes = 32 * MiB;

}  // namespace

// The most pages a sequence ever holds at once: a window needs what it shows and one step more.
BlockCounts Scheduler::pages_for(const Sequence& sequence) const {
  const int64_t tokens = sequence.most_tokens > 0 ? std::min(sequence.most_tokens, limits_.context) : limits_.context;
  BlockCounts counts{};
  for (size_t g = 0; g < pools_.size(); ++g) {
    counts[g] = ceil_div(tokens, limits_.page_tokens);
    if (spec_.groups[g].kind != StateKind::kWindowPages) continue;
    const int64_t shown = ceil_div(spec_.groups[g].window + limits_.max_rows, limits_.page_tokens) + 2;
    counts[g] = std::min(counts[g], shown);
  }
  return counts;
}

Result<void> Scheduler::claim(std::span<Sequence* const> sequences) {
  BlockCounts missing{};
  GroupPages coming;
  {
    std::lock_guard lock(mutex_);
    for (Sequence* sequence : sequences) {
      sequence->promised = pages_for(*sequence);
      for (size_t g = 0; g < pools_.size(); ++g) promised_[g] += sequence->promised[g];
    }
    for (size_t g = 0; g < pools_.size(); ++g) {
      const int64_t here = pools_[g].size() - pools_[g].away_pages();
      missing[g] = std::max<int64_t>(std::min(promised_[g], pools_[g].size()) - here, 0);
    }
    coming = recall(missing);
  }
  if (Result<void> done = take_again(coming); !done) {
    std::lock_guard lock(mutex_);
    for (Sequence* sequence : sequences) {
      for (size_t g = 0; g < pools_.size(); ++g) promised_[g] -= std::exchange(sequence->promised[g], 0);
    }
    return done;
  }
  restore_some(is_idle() ? kRestoreBytes : kRestoreBesideOthersBytes);
  return {};
}

// mutex_ held.
GroupPages Scheduler::recall(const BlockCounts& counts) {
  GroupPages coming(pools_.size());
  for (size_t g = 0; g < pools_.size(); ++g) coming[g] = pools_[g].recall(counts[g]);
  return coming;
}

Result<void> Scheduler::take_again(const GroupPages& coming) {
  if (std::all_of(coming.begin(), coming.end(), [](const auto& pages) { return pages.empty(); })) return {};
  Result<void> done = backing_->take_again(coming);
  std::lock_guard lock(mutex_);
  for (size_t g = 0; g < pools_.size(); ++g) {
    done ? pools_[g].bring_back(coming[g]) : pools_[g].leave_away(coming[g]);
  }
  return done;
}

// A refusal is no harm: the cache stays as small as it is.
void Scheduler::restore_some(int64_t bytes) {
  BlockCounts counts{};
  GroupPages coming;
  int64_t left = bytes;
  {
    std::lock_guard lock(mutex_);
    for (size_t g = 0; g < pools_.size(); ++g) {
      if (pools_[g].away_pages() == 0) continue;
      counts[g] = std::min(pools_[g].away_pages(), left / backing_->page_bytes(g));
      left -= counts[g] * backing_->page_bytes(g);
    }
    coming = recall(counts);
  }
  [[maybe_unused]] const Result<void> done = take_again(coming);
}

// mutex_ held. Pages that could go: free ones and those that only the cache holds, but for what was promised.
int64_t Scheduler::shrinkable(size_t group) const {
  const PagePool& pool = pools_[group];
  const int64_t here = pool.size() - pool.away_pages();
  return std::max<int64_t>(here - std::min(promised_[group], pool.size()), 0);
}

Scheduler::Spare Scheduler::spare() const {
  Spare spare;
  if (!backing_) return spare;
  std::lock_guard lock(mutex_);
  for (size_t g = 0; g < pools_.size(); ++g) {
    const int64_t unused = std::min(shrinkable(g), pools_[g].free_pages());
    const int64_t cached = std::min(shrinkable(g) - unused, cache_.evictable(static_cast<int>(g)));
    spare.unused_bytes += unused * backing_->page_bytes(g);
    spare.cached_bytes += cached * backing_->page_bytes(g);
  }
  return spare;
}

int64_t Scheduler::shrink(int64_t bytes, bool with_cached) {
  if (!backing_) return 0;
  bytes = std::min(bytes, kMostShrinkBytes);
  std::lock_guard lock(mutex_);
  GroupPages going(pools_.size());
  int64_t given = 0;
  for (size_t g = 0; g < pools_.size() && given < bytes; ++g) {
    PagePool& pool = pools_[g];
    const int64_t each = backing_->page_bytes(g);
    int64_t wanted = std::min(shrinkable(g), (bytes - given) / each + ((bytes - given) % each != 0));
    while (with_cached && pool.free_pages() < wanted && cache_.evict_one(static_cast<int>(g))) {
    }
    wanted = std::min(wanted, pool.free_pages());
    going[g] = pool.send_away(wanted);
    given += wanted * each;
  }
  if (given > 0) backing_->give_back(going);
  return given;
}

int64_t Scheduler::room_tokens(int64_t sequences) const {
  std::lock_guard lock(mutex_);
  int64_t tokens = limits_.context;
  for (size_t g = 0; g < pools_.size(); ++g) {
    const int64_t here = (pools_[g].size() - pools_[g].away_pages()) / sequences;
    // Pages of a window are used again and again, or there are too few of them for any sequence.
    const Sequence whole{};
    const bool is_enough = here >= pages_for(whole)[g];
    if (!is_enough) tokens = std::min(tokens, here * limits_.page_tokens);
  }
  return tokens;
}

int64_t Scheduler::away_bytes() const {
  if (!backing_) return 0;
  std::lock_guard lock(mutex_);
  int64_t bytes = 0;
  for (size_t g = 0; g < pools_.size(); ++g) bytes += pools_[g].away_pages() * backing_->page_bytes(g);
  return bytes;
}

}  // namespace hearth
