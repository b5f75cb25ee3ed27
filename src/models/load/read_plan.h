// ReadPlan: which pieces of files are read together. Disks want large reads; a checkpoint has hundreds of small tensors
// that lie side by side. Pure.
#pragma once
#include <span>
#include <vector>

#include "formats/direct/direct_reader.h"

namespace hearth {

struct ReadPlan {
  struct Read {
    Extent extent;             // holds its pieces whole
    int64_t first = 0, n = 0;  // of `pieces`
  };
  std::vector<Read> reads;      // by file and offset
  std::vector<int64_t> pieces;  // indices of the pieces asked for, read by read, each of them once
};

/// Joins pieces that lie at most `gap` bytes apart as long as a read stays within `most_bytes`. A longer piece is a
/// read of its own. Pieces may overlap.
ReadPlan plan_reads(std::span<const Extent> pieces, int64_t most_bytes, int64_t gap);

}  // namespace hearth
