#include "models/load/read_plan.h"

#include <algorithm>
#include <numeric>
#include <tuple>

namespace hearth {

ReadPlan plan_reads(std::span<const Extent> pieces, int64_t most_bytes, int64_t gap) {
  ReadPlan plan;
  plan.pieces.resize(pieces.size());
  std::iota(plan.pieces.begin(), plan.pieces.end(), int64_t{0});
  std::sort(plan.pieces.begin(), plan.pieces.end(), [&](int64_t a, int64_t b) {
    return std::tuple(pieces[a].file, pieces[a].offset, a) < std::tuple(pieces[b].file, pieces[b].offset, b);
  });
  for (int64_t i = 0; i < std::ssize(plan.pieces); ++i) {
    const Extent& piece = pieces[plan.pieces[i]];
    if (!plan.reads.empty()) {
      ReadPlan::Read& last = plan.reads.back();
      const int64_t end = last.extent.offset + last.extent.bytes;
      const int64_t joined = std::max(end, piece.offset + piece.bytes) - last.extent.offset;
      if (last.extent.file == piece.file && piece.offset <= end + gap && joined <= most_bytes) {
        last.extent.bytes = joined;
        ++last.n;
        continue;
      }
    }
    plan.reads.push_back({piece, i, 1});
  }
  return plan;
}

}  // namespace hearth
