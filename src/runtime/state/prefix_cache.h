// PrefixCache: finished pages by what is in them, so that a request whose prompt begins like an earlier one starts
// behind the common part. A block is page_tokens consecutive tokens; its key chains the keys before it, so equal keys
// mean equal text from the start (tokens are compared, hashes only find). The cache is per model, adapter set and state
// dtype: each loaded model owns one.
// The cache holds its pages in the pools and gives the least recently used ones back when asked for room. One thread.
#pragma once
#include <array>
#include <cstdint>
#include <list>
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "models/lm/state.h"
#include "runtime/state/page_pool.h"

namespace hearth {

/// One page per state group; kScratchPage where a group's page is gone (behind the window).
using BlockPages = std::array<Page, kMaxStateGroups>;
/// A number of pages per state group.
using BlockCounts = std::array<int64_t, kMaxStateGroups>;

class PrefixCache {
 public:
  /// Key of "no block yet": the parent of a sequence's first block.
  static constexpr uint64_t kRoot = 0x9e3779b97f4a7c15ull;

  struct Block {
    uint64_t key = 0;
    BlockPages pages{};
  };

  /// `pools` has one pool per group of `spec`; both outlive the cache.
  PrefixCache(const StateSpec& spec, int64_t page_tokens, std::vector<PagePool>& pools);
  ~PrefixCache() { clear(); }
  PrefixCache(const PrefixCache&) = delete;

  /// The longest usable run of leading blocks of `tokens`, at most `max_blocks`. Every returned page has been held once
  /// more for the caller. Blocks a window has passed come with kScratchPage for that group.
  std::vector<Block> find(std::span<const int32_t> tokens, int64_t max_blocks);

  /// Remembers a whole block that follows the block with key `parent`; returns its key. A block already known keeps its
  /// old pages and takes new ones only where its own are gone.
  uint64_t insert(uint64_t parent, std::span<const int32_t> block, const BlockPages& pages);

  /// Marks the known leading blocks of a finished sequence as just used.
  void touch(std::span<const int32_t> tokens);

  /// Frees one page of a group that nobody but the cache holds, least recently used first. False when there is none.
  bool evict_one(int group);
  /// Pages of a group that evict_one could free.
  int64_t evictable(int group) const;
  int64_t blocks() const { return static_cast<int64_t>(entries_.size()); }
  void clear();

 private:
  struct Entry {
    uint64_t key, parent;
    std::vector<int32_t> tokens;  // of this block
    BlockPages pages;
  };
  using Entries = std::list<Entry>;  // least recently used first

  static uint64_t chain(uint64_t parent, std::span<const int32_t> block);
  std::vector<Entries::iterator> walk(std::span<const int32_t> tokens, int64_t max_blocks);
  void move_to_back(const std::vector<Entries::iterator>& run, int64_t blocks);
  Entries::iterator lookup(uint64_t parent, std::span<const int32_t> block);
  int64_t first_seen_block(size_t group, int64_t blocks) const;
  bool usable_without_group_gaps(const std::vector<Entries::iterator>& run, int64_t blocks) const;
  void remove(Entries::iterator entry);

  const StateSpec& spec_;
  const int64_t page_tokens_;
  std::vector<PagePool>& pools_;
  Entries entries_;
  std::unordered_multimap<uint64_t, Entries::iterator> by_key_;
};

}  // namespace hearth
