// The pieces of a CPU product, one table per instruction set. linear_cpu.cpp walks pairs of tiles of 16 outputs and
// chunks of 256 columns: a chunk of weights is expanded to 8-bit codes in the first cache level, then every row of x is
// multiplied with it. One row and a thousand rows take the same path, so each output is summed in the same order:
// blocks ascending, one fused multiply-add each (two with a minimum or with scales per 16 columns).
#pragma once
#include "ops/linear/linear_kernels.h"
#include "ops/linear/row_codes.h"
#include "ops/linear/rows16.h"

namespace hearth::cpu {

/// 32 values of x as int8: value = d * q, q in [-127, 127]. One cache line.
struct alignas(64) XBlock {
  int8_t q[32];
  float d;
  float d_sum;  // d * sum of q
  float d_half_sum[2];  // of 16 q each
  int32_t minus_sum;  // negated, so that a zero point times it needs no subtraction
  int32_t minus_half_sum[2];
  int32_t unused;
};
static_assert(sizeof(XBlock) == 64);

/// Codes of 16 rows x up to 256 columns: [blocks][8 quads][16 rows][4 columns].
struct Panel {
  alignas(64) uint8_t codes[rows16::kChunk * rows16::kRows];
  alignas(64) float scale[16 * rows16::kRows];  // [block or half block][16 rows]
  alignas(64) float min[16 * rows16::kRows];  // added; only when coding.has_min
  Coding coding;  // of `codes`, after an instruction set's own adjustment
  int64_t blocks = 0;
};

/// Tiles that are multiplied together: a value of x is loaded once for both.
inline constexpr int kTiles = 2;
inline constexpr int kPanelRows = kTiles * rows16::kRows;

struct LinearKernels {
  /// n columns (a multiple of 32) of one row of x.
  void (*quantize)(const float* x, int64_t n, XBlock* out);
  /// A chunk of a tile in layout kRows16.
  void (*expand)(DType scheme, const std::byte* tile, const rows16::Chunk& at, Panel& panel);
  /// A chunk of rows as a file has them: what read_rows() of row_codes.h gives.
  void (*read_rows)(DType scheme, const FileRows& from, int64_t columns, RowCodes* out);
  /// expand() out of 16 such rows; panel.coding and panel.blocks are set.
  void (*interleave)(const RowCodes* rows, Panel& panel);
  /// acc[row][2][16] += panels * x, for two panels of one coding and n_rows rows of x that lie x_stride blocks apart.
  void (*dot)(const Panel* panels, const XBlock* x, int64_t x_stride, int64_t n_rows, float* acc);
  /// Float weights [columns][16] in their scalar to float32; `w` is 64-byte aligned.
  void (*expand_float)(DType scheme, const std::byte* chunk, int64_t columns, float* w);
};

extern const LinearKernels kLinearPlain;
extern const LinearKernels kLinearAvx2, kLinearAvx512;  // x86-64
extern const LinearKernels kLinearNeon, kLinearDotprod, kLinearI8mm;  // aarch64

void read_rows_avx2(DType type, const FileRows& from, int64_t n, RowCodes* out);
void read_rows_avx512(DType type, const FileRows& from, int64_t n, RowCodes* out);

/// The table for an instruction set; kPlain's for one that this build lacks.
const LinearKernels& linear_kernels(CpuIsa isa);

}  // namespace hearth::cpu
