// The engine both byte-pair models share: a linked list of symbols and a heap of candidate merges, O(n log n).
#pragma once
#include <algorithm>

#include "text/tokenize/model.h"

namespace hearth::text {

inline bool goes_later(const MergeCandidate& a, const MergeCandidate& b) {
  return a.cost != b.cost ? a.cost > b.cost : a.left > b.left;
}

/// Links `scratch.symbols` in their order and merges until no candidate is left. `propose(left, right, candidate)` says
/// whether two neighbours may merge and fills in the cost and id of the result.
template <class Propose>
void merge_all(ModelScratch& scratch, Propose propose) {
  std::vector<Symbol>& symbols = scratch.symbols;
  std::vector<MergeCandidate>& heap = scratch.heap;
  heap.clear();
  auto consider = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return false;
    const Symbol& a = symbols[static_cast<size_t>(left)];
    const Symbol& b = symbols[static_cast<size_t>(right)];
    MergeCandidate candidate{.left = static_cast<uint32_t>(left), .right = static_cast<uint32_t>(right),
                             .bytes = a.bytes + b.bytes};
    if (!propose(a, b, candidate)) return false;
    heap.push_back(candidate);
    return true;
  };
  for (size_t i = 0; i < symbols.size(); ++i) {
    symbols[i].previous = static_cast<int32_t>(i) - 1;
    symbols[i].next = i + 1 < symbols.size() ? static_cast<int32_t>(i + 1) : -1;
  }
  for (size_t i = 1; i < symbols.size(); ++i) consider(static_cast<int32_t>(i - 1), static_cast<int32_t>(i));
  std::make_heap(heap.begin(), heap.end(), goes_later);
  for (uint32_t turn = 1; !heap.empty(); ++turn) {
    if (turn % 65536 == 0) scratch.check_cancelled();
    std::pop_heap(heap.begin(), heap.end(), goes_later);
    MergeCandidate best = heap.back();
    heap.pop_back();
    Symbol& left = symbols[best.left];
    Symbol& right = symbols[best.right];
    bool is_stale = left.bytes == 0 || right.bytes == 0 || left.bytes + right.bytes != best.bytes ||
                    left.next != static_cast<int32_t>(best.right);
    if (is_stale) continue;
    left.bytes += right.bytes;
    left.id = best.id;
    left.next = right.next;
    right.bytes = 0;
    if (left.next >= 0) symbols[static_cast<size_t>(left.next)].previous = static_cast<int32_t>(best.left);
    if (consider(left.previous, static_cast<int32_t>(best.left))) std::push_heap(heap.begin(), heap.end(), goes_later);
    if (consider(static_cast<int32_t>(best.left), left.next)) std::push_heap(heap.begin(), heap.end(), goes_later);
  }
}

/// Where a text full of space marks may be cut without changing the merges: before a mark whose preceding character
/// never stands before a mark inside a token. It turns a book in one "word" into words that a cache can remember.
class SafeCuts {
 public:
  explicit SafeCuts(const Vocab& vocab);
  bool enabled() const { return enabled_; }
  /// The end of the first part of `text`: a cut, or the whole length.
  size_t first(std::string_view text) const;

 private:
  bool enabled_ = false;
  std::vector<uint32_t> before_mark_;  // sorted code points
};

}  // namespace hearth::text
