// PagePool: which pages of one state group are free, and how many hold each used one. A page may be held by several
// sequences that share a prefix and by the prefix cache. Page 0 is the scratch page that padding rows write to: it is
// never given out. Plain bookkeeping for one thread; the bytes live in State.
#pragma once
#include <cstdint>
#include <vector>

#include "core/base/check.h"

namespace hearth {

using Page = int32_t;
inline constexpr Page kScratchPage = 0;

class PagePool {
 public:
  explicit PagePool(int64_t pages) : holds_(static_cast<size_t>(pages), 0) {
    check(pages >= 2, "a pool has a scratch page and at least one other");
    for (Page page = static_cast<Page>(pages) - 1; page > kScratchPage; --page) free_.push_back(page);
  }

  int64_t size() const { return static_cast<int64_t>(holds_.size()) - 1; }
  int64_t free_pages() const { return static_cast<int64_t>(free_.size()); }

  /// A page with one hold. The pool must not be empty.
  Page take() {
    check(!free_.empty(), "a page is taken only when one is free");
    Page page = free_.back();
    free_.pop_back();
    holds_[page] = 1;
    return page;
  }
  void hold(Page page) {
    check(page != kScratchPage && holds_[page] > 0, "only a used page can be held again");
    ++holds_[page];
  }
  void drop(Page page) {
    check(page != kScratchPage && holds_[page] > 0, "only a held page can be dropped");
    if (--holds_[page] == 0) free_.push_back(page);
  }
  int holds(Page page) const { return holds_[page]; }

 private:
  std::vector<int> holds_;
  std::vector<Page> free_;
};

}  // namespace hearth
