// PrefixCache: shared beginnings are found, windows need their pages, least recently used leave first, no hold leaks.
#include "runtime/state/prefix_cache.h"

#include <gtest/gtest.h>

#include <numeric>

namespace hearth {
namespace {

constexpr int64_t kBlock = 4;

std::vector<int32_t> tokens(int64_t n, int32_t first = 0) {
  std::vector<int32_t> out(n);
  std::iota(out.begin(), out.end(), first);
  return out;
}

class PrefixCacheTest : public ::testing::Test {
 protected:
  // Takes pages for a sequence, registers its whole blocks, and lets go of them.
  void remember(const std::vector<int32_t>& text) {
    uint64_t key = PrefixCache::kRoot;
    for (size_t at = 0; at + kBlock <= text.size(); at += kBlock) {
      BlockPages pages{};
      for (size_t g = 0; g < pools_.size(); ++g) pages[g] = pools_[g].take();
      key = cache_.insert(key, std::span(text).subspan(at, kBlock), pages);
      for (size_t g = 0; g < pools_.size(); ++g) pools_[g].drop(pages[g]);
    }
  }
  int64_t found_blocks(const std::vector<int32_t>& text) {
    auto found = cache_.find(text, 100);
    for (const auto& block : found) {
      for (size_t g = 0; g < pools_.size(); ++g) {
        if (block.pages[g] != kScratchPage) pools_[g].drop(block.pages[g]);
      }
    }
    return std::ssize(found);
  }

  StateSpec spec_{.groups = {{StateKind::kFullPages, 0}, {StateKind::kWindowPages, 6}}};
  std::vector<PagePool> pools_{PagePool(9), PagePool(9)};
  PrefixCache cache_{spec_, kBlock, pools_};
};

TEST_F(PrefixCacheTest, FindsTheCommonBeginning) {
  remember(tokens(12));
  std::vector<int32_t> other = tokens(12);
  other[9] = 99;
  EXPECT_EQ(found_blocks(tokens(12)), 3);
  EXPECT_EQ(found_blocks(other), 2);
  EXPECT_EQ(found_blocks(tokens(12, 1)), 0);
  remember(tokens(12));
  EXPECT_EQ(cache_.blocks(), 3) << "the same text is kept once";
}

TEST_F(PrefixCacheTest, AWindowNeedsItsLastPages) {
  remember(tokens(12));
  ASSERT_TRUE(cache_.evict_one(1));  // the window page of the oldest block
  EXPECT_EQ(found_blocks(tokens(12)), 3) << "behind three blocks the window looks at the last two only";
  EXPECT_EQ(found_blocks(tokens(4)), 0) << "behind one block it looks at that block, whose page is gone";
}

// A page behind the window, were it held by a sequence that never looks at it, could not be given to anybody.
TEST_F(PrefixCacheTest, PagesBehindTheWindowAreFoundButNotHeld) {
  remember(tokens(16));
  auto found = cache_.find(tokens(16), 100);
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(found[0].pages[1], kScratchPage) << "the window of 6 behind 16 tokens begins in block 2";
  EXPECT_EQ(found[1].pages[1], kScratchPage);
  EXPECT_NE(found[2].pages[1], kScratchPage);
  EXPECT_EQ(cache_.evictable(1), 2);
  EXPECT_EQ(cache_.evictable(0), 0);
  for (const auto& block : found) {
    for (size_t g = 0; g < 2; ++g) {
      if (block.pages[g] != kScratchPage) pools_[g].drop(block.pages[g]);
    }
  }
}

TEST_F(PrefixCacheTest, EvictsLeastRecentlyUsedAndNeverHeldPages) {
  remember(tokens(4, 100));
  remember(tokens(4, 200));
  auto held = cache_.find(tokens(4, 100), 1);
  ASSERT_EQ(held.size(), 1u);
  EXPECT_EQ(cache_.evictable(0), 1);
  EXPECT_TRUE(cache_.evict_one(0));
  EXPECT_FALSE(cache_.evict_one(0)) << "the other block is held";
  EXPECT_EQ(found_blocks(tokens(4, 200)), 0);
  EXPECT_EQ(found_blocks(tokens(4, 100)), 1);
  for (size_t g = 0; g < 2; ++g) pools_[g].drop(held[0].pages[g]);
}

TEST_F(PrefixCacheTest, ClearGivesEveryPageBack) {
  remember(tokens(16));
  remember(tokens(8, 50));
  cache_.clear();
  for (const PagePool& pool : pools_) EXPECT_EQ(pool.free_pages(), pool.size());
}

}  // namespace
}  // namespace hearth
