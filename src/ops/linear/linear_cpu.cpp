// Drives the kernels of quantised weights: rounds x, then hands pairs of tiles of 16 outputs to the pool. Blocks of
// rows are sized so that the rounded x of a block stays in the second cache level while tiles pass over it. Float
// weights go to ops/gemm.
#include <algorithm>
#include <array>
#include <cstring>

#include "ops/gemm/gemm.h"
#include "ops/linear/cpu_kernels.h"

namespace hearth::cpu {
namespace {

constexpr int64_t kRows = rows16::kRows, kChunk = rows16::kChunk, kBlock = rows16::kBlock;
constexpr int64_t kRowMultiple = 12;  // what every instruction set's groups of rows divide
constexpr int64_t kMaxRowBlock = 120;
constexpr int64_t kInputGrain = 8;  // rows of x a thread rounds at a time
constexpr int64_t kXBlockBytes = sizeof(XBlock);
constexpr int64_t kRowBlockBytes = 512 << 10;  // of x: half of a common second-level cache

// x as the kernels read it, chunk after chunk: rows of a chunk lie next to each other, so that a tile reads x as one
// stream, and never at strides that fall into one cache set.
struct Input {
  XBlock* blocks;  // [chunks][rows][blocks of the chunk]
  int64_t rows, in;

  XBlock* at(int64_t begin, int64_t row) const {
    return blocks + begin / kBlock * rows + row * (chunk_columns(begin) / kBlock);
  }
  int64_t chunk_columns(int64_t begin) const { return std::min(kChunk, in - begin); }
};

// Rows of a tile whose weight is as the file has it.
struct FileTile {
  const std::byte* rows;
  int64_t row_size;
  int n_rows;
};

FileTile file_tile(const Matrix& w, int64_t tile) {
  int64_t row_size = row_bytes(w.scheme, w.in);
  return {w.data + tile * kRows * row_size, row_size, static_cast<int>(std::min(kRows, w.out - tile * kRows))};
}

// Memory is read one tile after the other; the lines this far ahead are asked for early: 27 GB/s of q4_1 on a core
// instead of 16 (Zen 5).
constexpr int64_t kPrefetchBytes = 4 << 10;

void prefetch(const std::byte* from, int64_t bytes) {
  for (int64_t i = 0; i < bytes; i += 64) __builtin_prefetch(from + kPrefetchBytes + i, 0, 2);
}

void load_tile(const LinearKernels& k, const Matrix& w, int64_t tile, int64_t begin, int64_t columns, Panel& panel) {
  panel.coding = coding(w.scheme);
  panel.blocks = columns / kBlock;
  if (w.layout == Layout::kRows16) {
    const std::byte* from = w.data + tile * rows16::tile_bytes(w.scheme, w.in);
    prefetch(from + rows16::tile_bytes(w.scheme, begin), rows16::tile_bytes(w.scheme, columns));
    return k.expand(w.scheme, from, rows16::chunk(w.scheme, w.in, begin), panel);
  }
  FileTile from = file_tile(w, tile);
  const int64_t size = row_bytes(w.scheme, columns), offset = row_bytes(w.scheme, begin);
  // The same rows' next columns, or the first ones of the tile after this pair.
  const int64_t ahead = begin + columns < w.in ? size : kPanelRows * from.row_size - offset;
  const std::byte* first = from.rows + offset;
  for (int r = 0; r < from.n_rows; ++r) {
    for (int64_t i = 0; i < size + 63; i += 64) __builtin_prefetch(first + r * from.row_size + ahead + i, 0, 2);
  }
  RowCodes rows[kRows];
  k.read_rows(w.scheme, {reinterpret_cast<const uint8_t*>(first), from.row_size, from.n_rows}, columns, rows);
  // A row that does not exist is the last one again; its output is dropped.
  for (int r = from.n_rows; r < kRows; ++r) rows[r] = rows[from.n_rows - 1];
  k.interleave(rows, panel);
}

void write_out(const Product& p, int64_t first, int64_t first_row, int64_t n_rows, const float* acc) {
  int64_t n = std::min<int64_t>(kPanelRows, p.w.out - first);
  for (int64_t r = 0; r < n_rows; ++r) {
    float* y = p.y + (first_row + r) * p.w.out + first;
    const float* from = acc + r * kPanelRows;
    if (p.bias) {
      for (int64_t i = 0; i < n; ++i) y[i] = from[i] + p.bias[first + i];
    } else {
      std::copy_n(from, n, y);
    }
  }
}

// Two tiles of outputs of a block of rows. A tile beyond the last is the last one again; its outputs are dropped.
struct Pair {
  int64_t first, second;
};

void add_codes(const LinearKernels& k, const Product& p, const Input& in, Pair tiles, int64_t first_row, int64_t n_rows,
               float* acc) {
  Panel panels[kTiles];
  for (int64_t begin = 0; begin < p.w.in; begin += kChunk) {
    int64_t columns = in.chunk_columns(begin);
    load_tile(k, p.w, tiles.first, begin, columns, panels[0]);
    load_tile(k, p.w, tiles.second, begin, columns, panels[1]);
    k.dot(panels, in.at(begin, first_row), columns / kBlock, n_rows, acc);
  }
}

void run_pair(const LinearKernels& k, const Product& p, const Input& in, int64_t pair, int64_t first_row,
              int64_t n_rows) {
  alignas(64) float acc[kMaxRowBlock * kPanelRows];
  std::memset(acc, 0, static_cast<size_t>(n_rows * kPanelRows) * sizeof(float));
  const int64_t last = rows16::tiles(p.w.out) - 1;
  Pair tiles{pair * kTiles, std::min(pair * kTiles + 1, last)};
  add_codes(k, p, in, tiles, first_row, n_rows, acc);
  write_out(p, pair * kPanelRows, first_row, n_rows, acc);
}

int64_t pairs(const Matrix& w) { return (rows16::tiles(w.out) + kTiles - 1) / kTiles; }

int64_t row_block(int64_t rows, int64_t in) {
  int64_t fit = kRowBlockBytes / (std::max<int64_t>(1, in / kBlock) * kXBlockBytes);
  int64_t most = std::clamp<int64_t>(fit / kRowMultiple * kRowMultiple, kRowMultiple, kMaxRowBlock);
  int64_t blocks = std::max<int64_t>(1, (rows + most - 1) / most);
  return std::min(most, ((rows + blocks - 1) / blocks + kRowMultiple - 1) / kRowMultiple * kRowMultiple);
}

void round_input(const Ctx& c, const LinearKernels& k, const View& x, const Input& in) {
  c.parallel_for(in.rows, kInputGrain, [&](int64_t first, int64_t end) {
    for (int64_t r = first; r < end; ++r) {
      const float* row = x.as<const float>() + r * x.strides[0];
      for (int64_t begin = 0; begin < in.in; begin += kChunk) {
        k.quantize(row + begin, in.chunk_columns(begin), in.at(begin, r));
      }
    }
  });
}

void multiply_codes(const Ctx& c, const View& x, std::span<const Product> products, std::byte* scratch) {
  if (products.empty()) return;
  const LinearKernels& k = linear_kernels(c.caps.isa);
  const Input in{reinterpret_cast<XBlock*>(scratch), x.shape[0], x.shape[1]};
  round_input(c, k, x, in);
  int64_t total = 0;
  for (const Product& p : products) total += pairs(p.w);
  int64_t step = row_block(in.rows, in.in), n = total * ((in.rows + step - 1) / step);
  int64_t grain = std::max<int64_t>(1, n / (16 * c.caps.threads));
  c.parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t first_row = i / total * step, pair = i % total;
      size_t which = 0;
      for (; pair >= pairs(products[which].w); ++which) pair -= pairs(products[which].w);
      run_pair(k, products[which], in, pair, first_row, std::min(step, in.rows - first_row));
    }
  });
}

void multiply_floats(const Ctx& c, const View& x, std::span<const Product> products, std::byte* scratch) {
  if (products.empty()) return;
  auto gather = [&](const GemmPiece& piece) {
    for (int64_t r = 0; r < piece.n; ++r) {
      std::copy_n(x.as<const float>() + (piece.first + r) * x.strides[0] + piece.begin, piece.columns,
                  piece.to + r * piece.stride);
    }
  };
  gemm(c, x.shape[0], x.shape[1], gather, products, scratch);
}

}  // namespace

const LinearKernels& linear_kernels([[maybe_unused]] CpuIsa isa) {
#if defined(__x86_64__)
  if (isa == CpuIsa::kAvx512Vnni) return kLinearAvx512;
  if (isa == CpuIsa::kAvx2) return kLinearAvx2;
#elif defined(__aarch64__)
  if (isa == CpuIsa::kNeonI8mm) return kLinearI8mm;
  if (isa == CpuIsa::kNeonDotprod) return kLinearDotprod;
  if (isa == CpuIsa::kNeon) return kLinearNeon;
#endif
  return kLinearPlain;
}

bool has_linear(DType scheme) { return is_float_scheme(scheme) || coding(scheme).columns != 0; }

int64_t linear_scratch_bytes(const Caps& caps, int64_t rows, int64_t in, std::span<const DType> schemes) {
  bool any_float = std::any_of(schemes.begin(), schemes.end(), is_float_scheme);
  bool all_float = std::all_of(schemes.begin(), schemes.end(), is_float_scheme);
  // One after the other in the same space.
  return std::max(all_float ? 0 : rows * (in / kBlock) * kXBlockBytes, any_float ? gemm_scratch_bytes(caps) : 0);
}

void linear(const Ctx& c, const View& x, std::span<const Product> products, std::byte* scratch) {
  if (x.shape[0] == 0) return;
  std::array<Product, kMaxProducts> sorted;
  check(products.size() <= sorted.size(), "linear takes a group of products at a time");
  auto codes = std::copy_if(products.begin(), products.end(), sorted.begin(),
                            [](const Product& p) { return !is_float_scheme(p.w.scheme); });
  auto floats = std::copy_if(products.begin(), products.end(), codes,
                             [](const Product& p) { return is_float_scheme(p.w.scheme); });
  multiply_codes(c, x, {sorted.begin(), codes}, scratch);
  multiply_floats(c, x, {codes, floats}, scratch);
}

}  // namespace hearth::cpu
