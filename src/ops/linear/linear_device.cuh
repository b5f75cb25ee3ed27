// The CUDA product: one warp per tile of output columns and rows. Lane l sums the runs of eight columns l, l + 32, ...
// in ascending order, then the lanes are added by butterfly. That order is the same for every number of rows and every
// tile, so a row's bits do not depend on the batch. Weights are decoded in registers, once per tile of rows.
#pragma once
#include "core/device/cuda.cuh"
#include "ops/quant/weight_reader.cuh"

namespace hearth::cuda {

struct LinearArgs {
  const std::byte* w;
  int64_t w_row_bytes;
  const float* x;
  int64_t x_stride;   // elements
  const float* bias;  // or null
  float* y;
  int64_t rows, out, in;
  bool aligned;  // every row of w and x begins at a multiple of 16 bytes
};

using StartLinear = void (*)(Stream stream, const LinearArgs& args);

// One source per family, since each holds a kernel per scheme and tile; null for a scheme of another family.
StartLinear linear_float(DType scheme);
StartLinear linear_legacy(DType scheme);
StartLinear linear_k(DType scheme);
StartLinear linear_iq(DType scheme);
StartLinear linear_low(DType scheme);

namespace linear_device {

constexpr int kWarp = 32, kWarps = 4;
// Blocks that a multiprocessor has at once: three leave a thread 168 registers, two 255.
constexpr int blocks_of(int outputs) { return outputs > 8 ? 2 : 3; }
static_assert(blocks_of(1) * kWarp * kWarps <= 1536, "the threads a multiprocessor of compute capability 12 holds");

template <bool kAligned>
__device__ void load_x(const float* from, float* to) {
  if constexpr (kAligned) {
    reinterpret_cast<float4*>(to)[0] = __ldg(reinterpret_cast<const float4*>(from));
    reinterpret_cast<float4*>(to)[1] = __ldg(reinterpret_cast<const float4*>(from) + 1);
  } else {
#pragma unroll
    for (int j = 0; j < quant::kRun; ++j) to[j] = __ldg(from + j);
  }
}

// A tile of kRows x kColumns outputs. At the edges it repeats its last row or column and does not store them.
template <class Reader, int kRows, int kColumns, bool kAligned>
__global__ void __launch_bounds__(kWarp* kWarps, blocks_of(kRows* kColumns))
    linear_kernel(const __grid_constant__ LinearArgs a) {
  static_assert(kRows * kColumns <= kWarp, "every lane stores at most one output");
  int lane = threadIdx.x % kWarp;
  int64_t column = (static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp) * kColumns;
  if (column >= a.out) return;
  int64_t row = static_cast<int64_t>(blockIdx.y) * kRows;
  int columns = static_cast<int>(min(static_cast<int64_t>(kColumns), a.out - column));
  int rows = static_cast<int>(min(static_cast<int64_t>(kRows), a.rows - row));
  const std::byte* w = a.w + column * a.w_row_bytes;
  const float* x = a.x + row * a.x_stride;

  float sum[kRows][kColumns] = {};
  int64_t runs = a.in / quant::kRun;
  for (int64_t run = lane; run < runs; run += kWarp) {
    float factors[kColumns][quant::kRun];
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      Reader::template load<kAligned>(w + min(c, columns - 1) * a.w_row_bytes, run, factors[c]);
    }
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      alignas(16) float values[quant::kRun];
      load_x<kAligned>(x + min(r, rows - 1) * a.x_stride + run * quant::kRun, values);
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
#pragma unroll
        for (int j = 0; j < quant::kRun; ++j) sum[r][c] = fmaf(factors[c][j], values[j], sum[r][c]);
      }
    }
  }
  if constexpr (Reader::kHasTail) {
    for (int64_t i = runs * quant::kRun; lane == runs % kWarp && i < a.in; ++i) {
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        float factor = Reader::load_one(w + min(c, columns - 1) * a.w_row_bytes, i);
#pragma unroll
        for (int r = 0; r < kRows; ++r) sum[r][c] = fmaf(factor, x[min(r, rows - 1) * a.x_stride + i], sum[r][c]);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; ++r) {
#pragma unroll
    for (int c = 0; c < kColumns; ++c) {
      float total = sum[r][c];
      for (int distance = kWarp / 2; distance > 0; distance /= 2) total += __shfl_xor_sync(~0u, total, distance);
      if (lane != r * kColumns + c || r >= rows || c >= columns) continue;
      a.y[(row + r) * a.out + column + c] = a.bias ? total + a.bias[column + c] : total;
    }
  }
}

template <class Reader, int kRows, int kColumns, bool kAligned = true>
void start_tile(Stream stream, const LinearArgs& args) {
  dim3 grid(blocks_for(args.out, kWarps * kColumns), blocks_for(args.rows, kRows));
  launch(stream, "linear", grid, kWarp * kWarps, linear_kernel<Reader, kRows, kColumns, kAligned>, args);
}

// Small tiles give few rows enough warps; large ones read each weight and each x for more outputs. Odd shapes, which no
// model has, take whatever is simplest.
template <class Reader>
void start(Stream stream, const LinearArgs& args) {
  if (!args.aligned) return start_tile<Reader, 1, 1, false>(stream, args);
  if (args.rows == 1) return start_tile<Reader, 1, 1>(stream, args);
  if (args.rows <= 4) return start_tile<Reader, 4, 1>(stream, args);
  if (args.rows <= 32) return start_tile<Reader, 8, 1>(stream, args);
  start_tile<Reader, 8, 4>(stream, args);
}

template <class List>
StartLinear pick(DType scheme) {
  return pick_reader<StartLinear>(List{}, scheme,
                                  []<class R>(std::type_identity<R>) -> StartLinear { return start<R>; });
}

}  // namespace linear_device
}  // namespace hearth::cuda
