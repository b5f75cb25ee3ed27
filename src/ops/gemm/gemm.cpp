// Cuts a product into tasks of a block of rows times a run of tiles, and a task into chunks of columns. A task gathers
// its rows once per chunk into a packed block that stays in the second cache level while tiles pass over it; y itself
// holds the sums between chunks. Where all columns of the rows fit the block they are gathered at once and each pair of
// tiles runs through all chunks: few rows then read the weights as one stream.
#include "ops/gemm/gemm.h"

#include <algorithm>
#include <cstring>

#include "ops/gemm/float_tiles.h"
#include "ops/simd/level.h"

namespace hearth::cpu {
namespace {

constexpr int64_t kRowMultiple = 12;  // what every instruction set's register blocks divide
constexpr int64_t kMaxPairs = 16;  // of a task: sums of a block of rows take half of a second-level cache
constexpr int64_t kAheadRows = 24;  // fewer rows leave no time to fetch ahead in
constexpr int64_t kFewRowColumns =
    128;  // few rows wait for memory: shorter chunks keep fewer fetches under way at once
constexpr int64_t kPadding = 16;  // between packed rows: strides off the powers of two that share cache sets
constexpr int64_t kXFloats = kGemmStripFloats;
static_assert(kXFloats == kGemmMaxRows * (kGemmColumns + kPadding) * 2);
constexpr int64_t kPanelFloats = 2 * kGemmColumns * kGemmTile;
constexpr int64_t kEdgeFloats = kGemmMaxRows * kGemmTile;
constexpr int64_t kThreadBytes = (kXFloats + kPanelFloats + kEdgeFloats) * 4;

// Working space of one worker.
struct Space {
  float *x, *panel, *edge;
  explicit Space(std::byte* base)
      : x(reinterpret_cast<float*>(base)), panel(x + kXFloats), edge(panel + kPanelFloats) {}
};

int64_t tiles_of(const Matrix& w) { return (w.out + kGemmTile - 1) / kGemmTile; }
int64_t pairs_of(const Matrix& w) { return (tiles_of(w) + 1) / 2; }
int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// How a product is cut. Nothing here changes a result.
struct Grid {
  int64_t row_block, row_blocks;
  int64_t pair_block, total_pairs, pair_blocks;
  int64_t chunk;

  Grid(int64_t rows, int64_t in, std::span<const Product> products, int threads) {
    int64_t blocks = ceil_div(rows, kGemmMaxRows);
    row_block = std::min(kGemmMaxRows, ceil_div(ceil_div(rows, blocks), kRowMultiple) * kRowMultiple);
    row_blocks = ceil_div(rows, row_block);
    total_pairs = 0;
    for (const Product& p : products) total_pairs += pairs_of(p.w);
    // Enough tasks that threads end together, each as many pairs as that allows: rows are gathered once per task.
    int64_t splits = std::min(total_pairs, ceil_div(kTasksPerThread * threads, row_blocks));
    pair_block = ceil_div(total_pairs, std::max(splits, ceil_div(total_pairs, kMaxPairs)));
    pair_blocks = ceil_div(total_pairs, pair_block);
    int64_t most = rows < kAheadRows ? kFewRowColumns : kGemmColumns;
    chunk = std::min(in, ceil_div(ceil_div(in, ceil_div(in, most)), kGemmTile) * kGemmTile);
  }
  int64_t tasks() const { return row_blocks * pair_blocks; }

  static constexpr int64_t kTasksPerThread = 8;
};

// The rows of one task and where they lie: packed chunk by chunk, or over each other in a strip.
struct Rows {
  int64_t first, n, in, chunk;
  int64_t stride = chunk + kPadding;
  int64_t groups = 1, group_x = 0, group_rows = 0;  // as in GemmStrips
  bool is_strip = false;
  int64_t chunks() const { return ceil_div(in, chunk); }
  bool fits() const { return is_strip || chunks() * n * stride <= kXFloats; }
  int64_t columns(int64_t begin) const { return std::min(chunk, in - begin); }
};

void gather_chunk(const Rows& rows, Gather gather, int64_t begin, float* to) {
  gather({rows.first, rows.n, begin, rows.columns(begin), to, rows.stride});
}

class Task {
 public:
  Task(const Level& level, const LinearKernels& linear, const Rows& rows, const Space& space)
      : multiply_(level.gemm->multiply), linear_(linear), rows_(rows), space_(space) {}

  /// One chunk of columns, whose first row is at x, times one pair of tiles.
  void run(const Product& p, int64_t pair, int64_t begin, const float* x) const {
    const int64_t columns = rows_.columns(begin), last = tiles_of(p.w) - 1, whole = p.w.out / kGemmTile;
    const bool ends = begin + columns == rows_.in;
    int64_t tile = 2 * pair;
    GemmBlock block{x, rows_.stride, {}, 0, columns, rows_.n, nullptr, p.w.out, begin > 0, nullptr, {}, 0};
    for (; block.tiles < 2 && tile + block.tiles < whole; ++block.tiles) {
      block.w[block.tiles] = weights(p, tile + block.tiles, begin, columns, block.tiles);
    }
    if (block.tiles > 0) {
      block.bias = ends && p.bias ? p.bias + tile * kGemmTile : nullptr;
      if (rows_.n >= kAheadRows && p.w.layout == Layout::kRows16) look_ahead(p.w, tile, begin, columns, block);
      for (int64_t group = 0; group < rows_.groups; ++group) {
        block.x = x + group * rows_.group_x;
        block.y = p.y + (rows_.first + group * rows_.group_rows) * p.w.out + tile * kGemmTile;
        multiply_(block);
        block.ahead_bytes = 0;
      }
      tile += block.tiles;
    }
    if (tile < 2 * pair + 2 && tile == last && last == whole) run_edge(p, begin, columns, ends, block, x);
  }

 private:
  const float* weights(const Product& p, int64_t tile, int64_t begin, int64_t columns, int which) const {
    return float_tile(linear_, p.w, tile, begin, columns, space_.panel + which * kGemmColumns * kGemmTile);
  }

  // The same columns of the next pair of tiles, or the next columns of this one where they are next.
  void look_ahead(const Matrix& w, int64_t tile, int64_t begin, int64_t columns, GemmBlock& block) const {
    const int64_t column = kGemmTile * info(w.scheme).block_bytes, last = tiles_of(w) - 1;
    const bool same_tiles = rows_.fits() && begin + columns < rows_.in;
    int64_t from = same_tiles ? begin + columns : rows_.fits() ? 0 : begin;
    block.ahead_bytes = std::min(columns, rows_.in - from) * column;
    for (int t = 0; t < 2; ++t) {
      int64_t next = std::min(same_tiles ? tile + t : tile + 2 + t, last);
      block.ahead[t] = w.data + (next * w.in + from) * column;
    }
  }

  // The last tile where it has fewer than 16 outputs: in a place of its own, from and to y.
  void run_edge(const Product& p, int64_t begin, int64_t columns, bool ends, GemmBlock block, const float* x) const {
    const int64_t tile = p.w.out / kGemmTile, n = p.w.out % kGemmTile;
    float bias[kGemmTile] = {};
    if (p.bias) std::copy_n(p.bias + tile * kGemmTile, n, bias);
    block.w[0] = weights(p, tile, begin, columns, 0);
    block.tiles = 1;
    block.y = space_.edge, block.y_stride = kGemmTile;
    block.bias = ends && p.bias ? bias : nullptr;
    for (int64_t group = 0; group < rows_.groups; ++group) {
      float* y = p.y + (rows_.first + group * rows_.group_rows) * p.w.out + tile * kGemmTile;
      block.x = x + group * rows_.group_x;
      for (int64_t r = 0; block.adds && r < rows_.n; ++r) std::copy_n(y + r * p.w.out, n, block.y + r * kGemmTile);
      multiply_(block);
      for (int64_t r = 0; r < rows_.n; ++r) std::copy_n(block.y + r * kGemmTile, n, y + r * p.w.out);
    }
  }

  void (*multiply_)(const GemmBlock&);
  const LinearKernels& linear_;
  const Rows& rows_;
  const Space& space_;
};

// Calls body(product, pair) for the pairs [begin, end) counted through all products.
template <class Body>
void for_pairs(std::span<const Product> products, int64_t begin, int64_t end, Body body) {
  int64_t before = 0;
  for (const Product& p : products) {
    int64_t n = pairs_of(p.w);
    for (int64_t i = std::max(begin, before); i < std::min(end, before + n); ++i) body(p, i - before);
    before += n;
  }
}

void run_task(const Ctx& c, const Grid& grid, int64_t task, int64_t rows, int64_t in, Gather gather,
              std::span<const Product> products, const Space& space) {
  int64_t first = task / grid.pair_blocks * grid.row_block, pair = task % grid.pair_blocks * grid.pair_block;
  Rows block{first, std::min(grid.row_block, rows - first), in, grid.chunk};
  int64_t end = std::min(pair + grid.pair_block, grid.total_pairs);
  Task work(level(c.caps.isa), linear_kernels(c.caps.isa), block, space);
  if (block.fits()) {
    int64_t step = block.n * block.stride;
    for (int64_t i = 0; i < block.chunks(); ++i) gather_chunk(block, gather, i * block.chunk, space.x + i * step);
    for_pairs(products, pair, end, [&](const Product& p, int64_t at) {
      for (int64_t i = 0; i < block.chunks(); ++i) work.run(p, at, i * block.chunk, space.x + i * step);
    });
    return;
  }
  for (int64_t begin = 0; begin < in; begin += block.chunk) {
    gather_chunk(block, gather, begin, space.x);
    for_pairs(products, pair, end, [&](const Product& p, int64_t at) { work.run(p, at, begin, space.x); });
  }
}

// Chunks of a strip lie inside a run, so that one is a matrix with overlapping rows.
int64_t strip_chunk(int64_t run) {
  int64_t parts = ceil_div(run, kGemmColumns);
  while (run % parts != 0) ++parts;
  return run / parts;
}

void run_strip(const Ctx& c, int64_t in, const GemmStrips& strips, const GemmStrip& strip, const Product& product,
               const Space& space) {
  Rows rows{strip.first, strip.n, in, strip_chunk(strips.run)};
  rows.stride = strips.x_stride, rows.is_strip = true;
  rows.groups = strip.groups, rows.group_x = strips.group_x, rows.group_rows = strips.group_rows;
  Task work(level(c.caps.isa), linear_kernels(c.caps.isa), rows, space);
  for (int64_t pair = 0; pair < pairs_of(product.w); ++pair) {
    for (int64_t begin = 0; begin < in; begin += rows.chunk) {
      work.run(product, pair, begin, space.x + begin / strips.run * strips.run_x + begin % strips.run);
    }
  }
}

// Calls body(task, space) for every task, on all threads: one index of the loop per worker rather than per task, as a
// worker owns a share of the scratch.
template <class Body>
void for_tasks(const Ctx& c, int64_t tasks, std::byte* scratch, Body body) {
  std::atomic<int64_t> next{0};
  c.parallel_for(std::min<int64_t>(std::max(1, c.caps.threads), tasks), 1, [&](int64_t begin, int64_t end) {
    for (int64_t worker = begin; worker < end; ++worker) {
      Space space(scratch + worker * kThreadBytes);
      for (int64_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) body(task, space);
    }
  });
}

// Reference: the definition of a block, one output at a time.
void multiply_plain(const GemmBlock& b) {
  for (int64_t row = 0; row < b.rows; ++row) {
    for (int t = 0; t < b.tiles; ++t) {
      float* y = b.y + row * b.y_stride + t * kGemmTile;
      float sums[kGemmTile] = {};
      if (b.adds) std::copy_n(y, kGemmTile, sums);
      for (int64_t i = 0; i < b.columns; ++i) {
        for (int64_t o = 0; o < kGemmTile; ++o) sums[o] += b.w[t][i * kGemmTile + o] * b.x[row * b.x_stride + i];
      }
      for (int64_t o = 0; o < kGemmTile; ++o) y[o] = b.bias ? sums[o] + b.bias[t * kGemmTile + o] : sums[o];
    }
  }
}

}  // namespace

constinit const GemmKernels kGemmPlain{multiply_plain};

int64_t gemm_scratch_bytes(const Caps& caps) { return std::max(1, caps.threads) * kThreadBytes; }

void gemm(const Ctx& c, int64_t rows, int64_t in, Gather gather, std::span<const Product> products,
          std::byte* scratch) {
  if (rows == 0 || products.empty()) return;
  const Grid grid(rows, in, products, std::max(1, c.caps.threads));
  for_tasks(c, grid.tasks(), scratch, [&](int64_t task, const Space& space) {
    run_task(c, grid, task, rows, in, gather, products, space);
  });
}

void gemm_strips(const Ctx& c, int64_t in, const GemmStrips& strips, FunctionRef<GemmStrip(int64_t, float*)> gather,
                 const Product& product, std::byte* scratch) {
  for_tasks(c, strips.count, scratch, [&](int64_t index, const Space& space) {
    run_strip(c, in, strips, gather(index, space.x), product, space);
  });
}

}  // namespace hearth::cpu
