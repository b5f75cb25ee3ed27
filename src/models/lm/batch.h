// Batch: what one step of a language model works on. Device tensors of bucketed capacity, written before the step (or
// before a graph is replayed), and a host struct of sizes only: shapes and launch grids depend on the sizes alone, and
// forward() never reads tensor values on the host. Rows beyond the real ones are padding: they write to a scratch page
// and nobody reads their result.
#pragma once
#include <array>
#include <cstdint>

#include "core/tensor/tensor.h"
#include "ops/attention/attention.h"

namespace hearth {

inline constexpr int kMaxStateGroups = 2;  // full and window pages

struct BatchSizes {
  int64_t rows = 0;       // token rows
  int64_t seqs = 0;       // sequences in the page tables
  int64_t keep = 0;       // rows whose logits are wanted
  int64_t max_pages = 0;  // width of a page table
  friend bool operator==(const BatchSizes&, const BatchSizes&) = default;
};

struct Batch {
  BatchSizes sizes;
  Tensor tokens;  // [rows] i32
  Tensor pos;     // [rows] i32
  Tensor seq;     // [rows] i32, row of the page tables
  Tensor keep;    // [keep] i32, indices of rows
  struct Group {
    Tensor slots;       // [rows] i32, where this row's key and value go
    Tensor page_table;  // [seqs, max_pages] i32
  };
  std::array<Group, kMaxStateGroups> groups;
};

}  // namespace hearth
