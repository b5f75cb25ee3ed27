#include "runtime/state/prefix_cache.h"

#include <algorithm>

namespace hearth {
namespace {

uint64_t mix(uint64_t x) {  // splitmix64's finaliser
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
  return x ^ (x >> 31);
}

}  // namespace

PrefixCache::PrefixCache(const StateSpec& spec, int64_t page_tokens, std::vector<PagePool>& pools)
    : spec_(spec), page_tokens_(page_tokens), pools_(pools) {}

uint64_t PrefixCache::chain(uint64_t parent, std::span<const int32_t> block) {
  uint64_t key = parent;
  for (int32_t token : block) key = mix(key + kRoot + static_cast<uint32_t>(token));
  return key;
}

PrefixCache::Entries::iterator PrefixCache::lookup(uint64_t parent, std::span<const int32_t> block) {
  auto [first, last] = by_key_.equal_range(chain(parent, block));
  for (; first != last; ++first) {
    const Entry& entry = *first->second;
    if (entry.parent == parent && std::equal(block.begin(), block.end(), entry.tokens.begin(), entry.tokens.end())) {
      return first->second;
    }
  }
  return entries_.end();
}

// The first query behind `blocks` blocks sits at their end; a window group sees nothing before this block.
int64_t PrefixCache::first_seen_block(size_t group, int64_t blocks) const {
  if (spec_.groups[group].kind != StateKind::kWindowPages) return 0;
  return std::max<int64_t>(blocks * page_tokens_ - spec_.groups[group].window + 1, 0) / page_tokens_;
}

bool PrefixCache::usable_without_group_gaps(const std::vector<Entries::iterator>& run, int64_t blocks) const {
  for (size_t g = 0; g < spec_.groups.size(); ++g) {
    for (int64_t i = first_seen_block(g, blocks); i < blocks; ++i) {
      if (run[i]->pages[g] == kScratchPage) return false;
    }
  }
  return true;
}

std::vector<PrefixCache::Entries::iterator> PrefixCache::walk(std::span<const int32_t> tokens, int64_t max_blocks) {
  std::vector<Entries::iterator> run;
  uint64_t parent = kRoot;
  max_blocks = std::min<int64_t>(max_blocks, static_cast<int64_t>(tokens.size()) / page_tokens_);
  for (int64_t i = 0; i < max_blocks; ++i) {
    auto entry = lookup(parent, tokens.subspan(i * page_tokens_, page_tokens_));
    if (entry == entries_.end()) break;
    run.push_back(entry);
    parent = entry->key;
  }
  return run;
}

// Deepest first, so that a parent is always used later than its children and goes after them.
void PrefixCache::move_to_back(const std::vector<Entries::iterator>& run, int64_t blocks) {
  for (int64_t i = blocks - 1; i >= 0; --i) entries_.splice(entries_.end(), entries_, run[i]);
}

std::vector<PrefixCache::Block> PrefixCache::find(std::span<const int32_t> tokens, int64_t max_blocks) {
  std::vector<Entries::iterator> run = walk(tokens, max_blocks);
  auto usable = static_cast<int64_t>(run.size());
  while (usable > 0 && !usable_without_group_gaps(run, usable)) --usable;

  std::vector<Block> found(usable);
  for (int64_t i = 0; i < usable; ++i) found[i].key = run[i]->key;
  // A page the window has passed is left alone: held, it could be neither used nor evicted.
  for (size_t g = 0; g < spec_.groups.size(); ++g) {
    for (int64_t i = first_seen_block(g, usable); i < usable; ++i) {
      found[i].pages[g] = run[i]->pages[g];
      pools_[g].hold(found[i].pages[g]);
    }
  }
  move_to_back(run, usable);
  return found;
}

void PrefixCache::touch(std::span<const int32_t> tokens) {
  std::vector<Entries::iterator> run = walk(tokens, static_cast<int64_t>(tokens.size()));
  move_to_back(run, static_cast<int64_t>(run.size()));
}

uint64_t PrefixCache::insert(uint64_t parent, std::span<const int32_t> block, const BlockPages& pages) {
  check(static_cast<int64_t>(block.size()) == page_tokens_, "insert takes one whole block");
  auto known = lookup(parent, block);
  if (known != entries_.end()) {
    for (size_t g = 0; g < spec_.groups.size(); ++g) {
      if (known->pages[g] != kScratchPage || pages[g] == kScratchPage) continue;
      known->pages[g] = pages[g];
      pools_[g].hold(pages[g]);
    }
    entries_.splice(entries_.end(), entries_, known);
    return known->key;
  }
  uint64_t key = chain(parent, block);
  entries_.push_back({key, parent, {block.begin(), block.end()}, pages});
  by_key_.emplace(key, std::prev(entries_.end()));
  for (size_t g = 0; g < spec_.groups.size(); ++g) {
    if (pages[g] != kScratchPage) pools_[g].hold(pages[g]);
  }
  return key;
}

bool PrefixCache::evict_one(int group) {
  for (auto entry = entries_.begin(); entry != entries_.end(); ++entry) {
    Page page = entry->pages[group];
    if (page == kScratchPage || pools_[group].holds(page) > 1) continue;
    if (spec_.groups[group].kind == StateKind::kFullPages) {
      remove(entry);
      return true;
    }
    pools_[group].drop(page);
    entry->pages[group] = kScratchPage;
    bool is_empty = std::all_of(entry->pages.begin(), entry->pages.begin() + spec_.groups.size(),
                                [](Page left) { return left == kScratchPage; });
    if (is_empty) remove(entry);
    return true;
  }
  return false;
}

int64_t PrefixCache::evictable(int group) const {
  return std::count_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.pages[group] != kScratchPage && pools_[group].holds(entry.pages[group]) == 1;
  });
}

void PrefixCache::remove(Entries::iterator entry) {
  for (size_t g = 0; g < spec_.groups.size(); ++g) {
    if (entry->pages[g] != kScratchPage) pools_[g].drop(entry->pages[g]);
  }
  auto [first, last] = by_key_.equal_range(entry->key);
  for (; first != last; ++first) {
    if (first->second == entry) {
      by_key_.erase(first);
      break;
    }
  }
  entries_.erase(entry);
}

void PrefixCache::clear() {
  while (!entries_.empty()) remove(entries_.begin());
}

}  // namespace hearth
