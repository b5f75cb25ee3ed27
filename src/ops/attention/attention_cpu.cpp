// Cuts a batch into tiles (attention_tile.h) and hands them to the workers, longest contexts first.
#include <algorithm>
#include <atomic>
#include <cstring>
#include <limits>

#include "ops/attention/attention_kernels.h"
#include "ops/attention/attention_tile.h"
#include "ops/simd/level.h"

namespace hearth::cpu {
namespace {

// Multiply-adds below which waking another thread costs more than it brings (2 us of one core).
constexpr double kInlineWork = 100e3;

// Rows [begin, begin + n) of one sequence.
struct RowRun {
  int32_t begin, n;
};

// How the batch is cut: which items exist and what each one is. Built anew for every call, in scratch.
class Plan {
 public:
  Plan(const AttentionArgs& args, int threads, RowRun* runs);
  int64_t items() const { return runs_n_ * kv_heads_ * parts_; }
  bool is_small() const { return work_ < kInlineWork || items() < 2; }
  void run_item(int64_t item, const AttentionKernels& kernels, const TileSpace& space) const;

 private:
  int64_t first_position(int64_t position) const {
    return args_.params.window > 0 ? std::max<int64_t>(0, position + 1 - args_.params.window) : 0;
  }
  void check_row(int64_t row) const;
  void add_row(int64_t row);

  const AttentionArgs& args_;
  int64_t heads_, kv_heads_, head_dim_, page_tokens_, group_;
  int64_t part_heads_ = 1, parts_ = 1;  // query heads of a group in one tile, tiles of a group
  int64_t run_rows_ = 1;                // rows of a tile
  RowRun* runs_;
  int64_t runs_n_ = 0;
  double work_ = 0;
};

Plan::Plan(const AttentionArgs& args, int threads, RowRun* runs)
    : args_(args), heads_(args.q.shape[1]), kv_heads_(args.k_pages.shape[1]), head_dim_(args.q.shape[2]),
      page_tokens_(args.k_pages.shape[2]), group_(heads_ / kv_heads_), runs_(runs) {
  constexpr int64_t kMaxRows = 32;
  part_heads_ = std::min<int64_t>(group_, kMaxUnits);
  run_rows_ = std::clamp<int64_t>(kMaxUnits / part_heads_, 1, kMaxRows);
  for (int64_t row = 0; row < args.q.shape[0]; ++row) add_row(row);
  // One KV head for all threads: they share its group, and read its pages from a common cache.
  if (runs_n_ * kv_heads_ < threads) part_heads_ = std::min(part_heads_, (group_ + threads - 1) / threads);
  parts_ = (group_ + part_heads_ - 1) / part_heads_;
}

void Plan::check_row(int64_t row) const {
  int64_t position = args_.pos.as<int32_t>()[row], seq = args_.seq.as<int32_t>()[row];
  int64_t max_pages = args_.page_table.shape[1];
  check(seq >= 0 && seq < args_.page_table.shape[0], "attention: seq names a row of page_table");
  check(position / page_tokens_ < max_pages, "attention: pos lies within page_table");
  const int32_t* table = args_.page_table.as<int32_t>() + seq * max_pages;
  for (int64_t page = first_position(position) / page_tokens_; page <= position / page_tokens_; ++page) {
    check(table[page] >= 0 && table[page] < args_.k_pages.shape[0], "attention: page_table names an existing page");
  }
}

void Plan::add_row(int64_t row) {
  int64_t position = args_.pos.as<int32_t>()[row];
  if (position < 0) {
    std::memset(args_.y.as<float>() + row * heads_ * head_dim_, 0, 4 * static_cast<size_t>(heads_ * head_dim_));
    return;
  }
  check_row(row);
  work_ += 2.0 * static_cast<double>((position + 1 - first_position(position)) * heads_ * head_dim_);
  if (runs_n_ > 0) {
    RowRun& last = runs_[runs_n_ - 1];
    const int32_t* seq = args_.seq.as<int32_t>();
    if (last.begin + last.n == row && last.n < run_rows_ && seq[last.begin] == seq[row]) {
      ++last.n;
      return;
    }
  }
  runs_[runs_n_++] = {static_cast<int32_t>(row), 1};
}

void Plan::run_item(int64_t item, const AttentionKernels& kernels, const TileSpace& space) const {
  const RowRun& run = runs_[runs_n_ - 1 - item / (kv_heads_ * parts_)];
  int64_t kv_head = item / parts_ % kv_heads_, from = item % parts_ * part_heads_;
  int64_t n = std::min(part_heads_, group_ - from), head = kv_head * group_ + from;
  Unit units[kMaxUnits];
  int count = 0;
  for (int64_t row = run.begin; row < run.begin + run.n; ++row) {
    int64_t position = args_.pos.as<int32_t>()[row];
    for (int64_t h = head; h < head + n; ++h) {
      units[count++] = {args_.q.as<float>() + row * args_.q.strides[0] + h * args_.q.strides[1],
                        args_.y.as<float>() + (row * heads_ + h) * head_dim_,
                        first_position(position), position + 1, -std::numeric_limits<float>::infinity(), 0};
    }
  }
  DType dtype = args_.k_pages.dtype;
  int64_t head_bytes = row_bytes(dtype, page_tokens_ * head_dim_);
  const int32_t* table =
      args_.page_table.as<int32_t>() + args_.seq.as<int32_t>()[run.begin] * args_.page_table.shape[1];
  Tile tile{units, count, args_.k_pages.data + kv_head * head_bytes, args_.v_pages.data + kv_head * head_bytes,
            kv_heads_ * head_bytes, table, dtype, page_tokens_, head_dim_, args_.params.scale, args_.params.softcap};
  kernels.tile(tile, space);
}

}  // namespace

int64_t attention_scratch_bytes(int threads, int64_t rows, const Shape& pages) {
  return threads * TileSpace::bytes(pages[2], pages[3]) + rows * static_cast<int64_t>(sizeof(RowRun));
}

void attention(const Ctx& c, const AttentionArgs& args) {
  const AttentionKernels& kernels = *level(c.caps.isa).attention;
  int64_t page_tokens = args.k_pages.shape[2], head_dim = args.k_pages.shape[3];
  int64_t space_bytes = TileSpace::bytes(page_tokens, head_dim);
  int threads = std::max(1, c.caps.threads);
  Plan plan(args, threads, reinterpret_cast<RowRun*>(args.scratch.data + threads * space_bytes));
  std::atomic<int64_t> next{0};
  // One index per worker rather than per item: an index owns a share of the scratch.
  auto work = [&](int64_t begin, int64_t end) {
    for (int64_t worker = begin; worker < end; ++worker) {
      TileSpace space(args.scratch.data + worker * space_bytes, page_tokens, head_dim);
      for (int64_t item; (item = next.fetch_add(1, std::memory_order_relaxed)) < plan.items();) {
        plan.run_item(item, kernels, space);
      }
    }
  };
  if (plan.is_small()) {
    work(0, 1);
  } else {
    c.parallel_for(threads, 1, work);
  }
}

}  // namespace hearth::cpu
