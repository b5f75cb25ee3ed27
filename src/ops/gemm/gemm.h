// The float32 product behind linear(), conv2d() and full_attention() on the CPU: y = x wᵀ + bias, where x need not
// exist as a matrix: rows are gathered piece by piece into a packed block. Every element of y is one chain of fused
// multiply-adds over the columns ascending (plain multiplies and adds at CpuIsa::kPlain), then the bias, whatever the
// number of rows, blocks or threads. All vector levels give the same bits.
//
// Measured on one Zen 5 core, rows x in -> out, GFLOP/s here and in OpenBLAS 0.3.21 (as it picks kernels for this CPU,
// Haswell's; told to take SkylakeX's): 1024 x 1280 -> 1280 246, 130, 238; 77 x 768 -> 3072 243, 112, 188;
// 16384 x 64 -> 64 225, 122, 223. OpenBLAS has no f16 weights and rounds a row differently in other batches.
#pragma once
#include <cstdint>
#include <span>

#include "core/device/ctx.h"
#include "ops/linear/linear_kernels.h"

namespace hearth::cpu {

inline constexpr int64_t kGemmTile = 16;  // outputs of a tile: one vector
inline constexpr int64_t kGemmColumns = 256;  // columns of a chunk: two tiles of it fill half of a first-level cache
inline constexpr int64_t kGemmMaxRows = 240;  // rows of a packed block: a chunk of it takes a quarter of a second level

/// Rows [first, first + n) and columns [begin, begin + columns) of x, wanted at `to`, rows `stride` floats apart.
struct GemmPiece {
  int64_t first, n, begin, columns;
  float* to;
  int64_t stride;
};
using Gather = FunctionRef<void(const GemmPiece&)>;

/// Working space of gemm(); a few hundred KiB a thread.
int64_t gemm_scratch_bytes(const Caps& caps);

/// Products of one x [rows, in] that share one parallel region; their weights are of float schemes (is_float_scheme).
void gemm(const Ctx& c, int64_t rows, int64_t in, Gather gather, std::span<const Product> products, std::byte* scratch);

/// Rows that share values, as neighbouring patches of a convolution do: they are not packed one by one but lie over
/// each other in a strip that is gathered once. Row r of a group begins r * x_stride floats into it. A row's columns
/// are runs of `run` values, each run_x floats after the one before.
struct GemmStrips {
  int64_t count;  // strips, a task each
  int64_t x_stride, run, run_x;
  int64_t group_x, group_rows;  // floats of x and rows of y between the groups of a strip
};
/// What one strip holds: groups of n rows each, the first of them row `first` of y.
struct GemmStrip {
  int64_t first, n, groups;
};
inline constexpr int64_t kGemmStripFloats = kGemmMaxRows * (kGemmColumns + 16) * 2;  // room of a strip

/// gemm() over strips; `gather` fills a strip (at most kGemmStripFloats) and says what it holds. n <= kGemmMaxRows.
void gemm_strips(const Ctx& c, int64_t in, const GemmStrips& strips, FunctionRef<GemmStrip(int64_t, float*)> gather,
                 const Product& product, std::byte* scratch);

bool is_float_scheme(DType scheme);

/// One packed block times up to two tiles of weights.
struct GemmBlock {
  const float* x;  // [rows, x_stride]
  int64_t x_stride;
  const float* w[2];  // [columns, 16] each
  int tiles;  // 1 or 2
  int64_t columns, rows;
  float* y;  // [rows, y_stride]; 16 * tiles of a row are written
  int64_t y_stride;
  bool adds;  // y holds the sums of earlier columns; else sums begin at zero
  const float* bias;  // [16 * tiles], added last, or null
  const std::byte* ahead[2] = {};  // weights that come next, ahead_bytes of each: brought closer while this block runs
  int64_t ahead_bytes = 0;
};

struct GemmKernels {
  void (*multiply)(const GemmBlock& block);
};
extern const GemmKernels kGemmPlain;

}  // namespace hearth::cpu
