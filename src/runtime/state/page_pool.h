// PagePool: which pages of one state group are free, and how many hold each used one. A page may be held by several
// sequences that share a prefix and by the prefix cache. Page 0 is the scratch page that padding rows write to: it is
// never given out. A page whose memory was given back to the machine is away: neither free nor used until it is
// brought back. Plain bookkeeping for one thread; the bytes live in State.
#pragma once
#include <algorithm>
#include <cstdint>
#include <functional>
#include <span>
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
  /// Those on their way back count still.
  int64_t away_pages() const { return static_cast<int64_t>(away_.size()) + coming_; }

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

  /// Free pages go away, those with the highest numbers: neighbours are one run of memory. The pages, ascending.
  std::vector<Page> send_away(int64_t pages) {
    std::sort(free_.begin(), free_.end(), std::greater<>());
    return move_front(free_, away_, pages);
  }
  /// Pages that are to come back, lowest first: with bring_back(), or leave_away() when that came to nothing.
  std::vector<Page> recall(int64_t pages) {
    std::sort(away_.begin(), away_.end());
    std::vector<Page> coming;
    coming_ += pages;
    return move_front(away_, coming, pages);
  }
  void bring_back(std::span<const Page> pages) {
    coming_ -= std::ssize(pages);
    free_.insert(free_.end(), pages.rbegin(), pages.rend());
  }
  void leave_away(std::span<const Page> pages) {
    coming_ -= std::ssize(pages);
    away_.insert(away_.end(), pages.begin(), pages.end());
  }

 private:
  static std::vector<Page> move_front(std::vector<Page>& from, std::vector<Page>& to, int64_t pages) {
    check(pages >= 0 && pages <= static_cast<int64_t>(from.size()), "only pages that are there can be moved");
    std::vector<Page> moved(from.begin(), from.begin() + pages);
    from.erase(from.begin(), from.begin() + pages);
    to.insert(to.end(), moved.begin(), moved.end());
    std::sort(moved.begin(), moved.end());
    return moved;
  }

  std::vector<int> holds_;
  std::vector<Page> free_, away_;
  int64_t coming_ = 0;
};

}  // namespace hearth
