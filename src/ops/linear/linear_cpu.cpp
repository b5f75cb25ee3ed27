// Drives the kernels: rounds x, then hands tiles of 16 outputs to the pool. Blocks of rows are sized so that the
// rounded x of a block stays in the second cache level while tiles pass over it.
#include <algorithm>
#include <array>
#include <cstring>

#include "ops/linear/cpu_kernels.h"
#include "ops/quant/decode.h"

namespace hearth::cpu {
namespace {

constexpr int64_t kRows = rows16::kRows, kChunk = rows16::kChunk, kBlock = rows16::kBlock;
constexpr int64_t kMaxRowBlock = 192;
constexpr int64_t kRowBlockBytes = 512 << 10;  // half of a common second-level cache

bool is_float(DType scheme) {
  return scheme == DType::kF32 || scheme == DType::kF16 || scheme == DType::kBF16 || scheme == DType::kF8E4M3 ||
         scheme == DType::kF8E5M2;
}

// x as the kernels read it.
struct Input {
  const float* x;
  int64_t x_stride;  // floats
  const XBlock* blocks;
  int64_t block_stride;  // blocks
  int64_t rows;
};

int64_t blocks_per_row(int64_t in) { return (in + kBlock - 1) / kBlock; }
// An odd number of lines between rows keeps the same columns of several rows out of one cache set.
int64_t block_stride(int64_t in) { return blocks_per_row(in) | 1; }

const std::array<float, 256>& f8_values(DType scheme) {
  auto table = [](DType type) {
    std::array<float, 256> values;
    for (int i = 0; i < 256; ++i) {
      auto bits = static_cast<uint8_t>(i);
      values[static_cast<size_t>(i)] = type == DType::kF8E4M3 ? f8e4m3_to_f32(bits) : f8e5m2_to_f32(bits);
    }
    return values;
  };
  static const std::array<float, 256> e4m3 = table(DType::kF8E4M3), e5m2 = table(DType::kF8E5M2);
  return scheme == DType::kF8E4M3 ? e4m3 : e5m2;
}

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

void load_float_panel(const LinearKernels& k, const Matrix& w, int64_t tile, int64_t begin, int64_t columns,
                      FloatPanel& panel) {
  int64_t size = info(w.scheme).block_bytes;
  if (w.layout == Layout::kRows16) {
    k.expand_float(w.scheme, w.data + (tile * w.in + begin) * kRows * size, columns, panel.w);
    return;
  }
  FileTile from = file_tile(w, tile);
  std::memset(panel.w, 0, static_cast<size_t>(columns * kRows) * sizeof(float));
  bool is_f8 = size == 1;
  const float* f8 = is_f8 ? f8_values(w.scheme).data() : nullptr;
  float row[kChunk];
  for (int r = 0; r < from.n_rows; ++r) {
    const std::byte* bytes = from.rows + r * from.row_size + begin * size;
    if (is_f8) {
      for (int64_t i = 0; i < columns; ++i) panel.w[i * kRows + r] = f8[static_cast<uint8_t>(bytes[i])];
    } else {
      quant::decode_row(w.scheme, bytes, row, columns);
      for (int64_t i = 0; i < columns; ++i) panel.w[i * kRows + r] = row[i];
    }
  }
}

void load_panel(const LinearKernels& k, const Matrix& w, int64_t tile, int64_t begin, int64_t columns, Panel& panel) {
  panel.coding = coding(w.scheme);
  panel.blocks = columns / kBlock;
  if (w.layout == Layout::kRows16) {
    k.expand(w.scheme, w.data + tile * rows16::tile_bytes(w.scheme, w.in), rows16::chunk(w.scheme, w.in, begin), panel);
    return;
  }
  FileTile from = file_tile(w, tile);
  RowCodes rows[kRows];
  for (int r = 0; r < kRows; ++r) {
    // A row that does not exist is the last one again; its output is dropped.
    int at = std::min(r, from.n_rows - 1);
    const std::byte* bytes = from.rows + at * from.row_size + row_bytes(w.scheme, begin);
    read_codes(w.scheme, reinterpret_cast<const uint8_t*>(bytes), columns, rows[r]);
  }
  k.interleave(rows, panel);
}

void write_out(const Product& p, int64_t tile, int64_t first_row, int64_t n_rows, const float* acc) {
  int64_t first = tile * kRows, n = std::min(kRows, p.w.out - first);
  for (int64_t r = 0; r < n_rows; ++r) {
    float* y = p.y + (first_row + r) * p.w.out + first;
    for (int64_t i = 0; i < n; ++i) y[i] = acc[r * kRows + i] + (p.bias ? p.bias[first + i] : 0.0f);
  }
}

// Sixteen outputs of a block of rows.
void run_tile(const LinearKernels& k, const Product& p, const Input& in, int64_t tile, int64_t first_row,
              int64_t n_rows) {
  alignas(64) float acc[kMaxRowBlock * kRows];
  std::memset(acc, 0, static_cast<size_t>(n_rows * kRows) * sizeof(float));
  for (int64_t begin = 0; begin < p.w.in; begin += kChunk) {
    int64_t columns = std::min(kChunk, p.w.in - begin);
    if (is_float(p.w.scheme)) {
      FloatPanel panel;
      load_float_panel(k, p.w, tile, begin, columns, panel);
      k.dot_float(panel.w, columns, in.x + first_row * in.x_stride + begin, in.x_stride, n_rows, acc);
    } else {
      Panel panel;
      load_panel(k, p.w, tile, begin, columns, panel);
      k.dot(panel, in.blocks + first_row * in.block_stride + begin / kBlock, in.block_stride, n_rows, acc);
    }
  }
  write_out(p, tile, first_row, n_rows, acc);
}

int64_t row_block(int64_t rows, int64_t in) {
  int64_t fit = kRowBlockBytes / (block_stride(in) * static_cast<int64_t>(sizeof(XBlock)));
  int64_t most = std::clamp<int64_t>(fit / 8 * 8, 32, kMaxRowBlock);
  int64_t blocks = std::max<int64_t>(1, (rows + most - 1) / most);
  return std::min(most, ((rows + blocks - 1) / blocks + 7) / 8 * 8);
}

}  // namespace

const LinearKernels& linear_kernels([[maybe_unused]] CpuIsa isa) {
#if defined(__x86_64__)
  if (isa == CpuIsa::kAvx512Vnni) return kLinearAvx512;
#endif
  return kLinearPlain;
}

bool has_linear(DType scheme) { return is_float(scheme) || coding(scheme).columns != 0; }

int64_t linear_scratch_bytes(int64_t rows, int64_t in, std::span<const DType> schemes) {
  bool any_codes = std::any_of(schemes.begin(), schemes.end(), [](DType scheme) { return !is_float(scheme); });
  return any_codes ? rows * block_stride(in) * static_cast<int64_t>(sizeof(XBlock)) : 0;
}

void linear(const Ctx& c, const View& x, std::span<const Product> products, std::byte* scratch) {
  const LinearKernels& k = linear_kernels(c.caps.isa);
  int64_t rows = x.shape[0], n_in = x.shape[1];
  auto* blocks = reinterpret_cast<XBlock*>(scratch);
  Input in{x.as<const float>(), x.strides[0], blocks, block_stride(n_in), rows};
  if (blocks) {
    c.parallel_for(rows, 8, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) k.quantize(in.x + r * in.x_stride, n_in, blocks + r * in.block_stride);
    });
  }
  int64_t tiles = 0;
  for (const Product& p : products) tiles += rows16::tiles(p.w.out);
  int64_t step = row_block(rows, n_in), row_blocks = (rows + step - 1) / step;
  int64_t n = tiles * row_blocks;
  int64_t grain = std::max<int64_t>(1, n / (16 * c.caps.threads));
  c.parallel_for(n, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      int64_t first_row = i / tiles * step, tile = i % tiles;
      size_t which = 0;
      for (; tile >= rows16::tiles(products[which].w.out); ++which) tile -= rows16::tiles(products[which].w.out);
      run_tile(k, products[which], in, tile, first_row, std::min(step, rows - first_row));
    }
  });
}

}  // namespace hearth::cpu
