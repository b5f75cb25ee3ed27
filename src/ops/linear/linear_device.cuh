// The CUDA product: one warp per output column and tile of rows. Lane l sums the runs of eight columns l, l + 32, ... in
// ascending order, then the lanes are added by butterfly. That order is the same for every number of rows and every
// tile, so a row's bits do not depend on the batch. Weights are decoded in registers, once per tile of rows.
#pragma once
#include "core/device/cuda.cuh"
#include "ops/quant/weight_reader.cuh"

namespace hearth::cuda {

struct LinearArgs {
  const std::byte* w;
  int64_t w_row_bytes;
  const float* x;
  int64_t x_stride;    // elements
  const float* bias;   // or null
  float* y;
  int64_t rows, out, in;
  bool aligned;        // every row of w and x begins at a multiple of 16 bytes
};

using StartLinear = void (*)(Stream stream, const LinearArgs& args);

// One source per family, since each holds a kernel per scheme and tile; null for a scheme of another family.
StartLinear linear_float(DType scheme);
StartLinear linear_legacy(DType scheme);
StartLinear linear_k(DType scheme);
StartLinear linear_iq(DType scheme);
StartLinear linear_low(DType scheme);

namespace linear_device {

constexpr int kWarp = 32, kWarps = 4, kBlocks = 3;  // 3 blocks: up to 168 registers a thread
static_assert(kBlocks * kWarp * kWarps <= 1536, "the threads a multiprocessor of compute capability 12 holds");

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

template <class Reader, int kTile, bool kAligned>
__global__ void __launch_bounds__(kWarp* kWarps, kBlocks) linear_kernel(const __grid_constant__ LinearArgs a) {
  static_assert(kTile <= kWarp, "a lane stores each row of the tile");
  int lane = threadIdx.x % kWarp;
  int64_t column = static_cast<int64_t>(blockIdx.x) * kWarps + threadIdx.x / kWarp;
  if (column >= a.out) return;
  int64_t first = static_cast<int64_t>(blockIdx.y) * kTile;
  const std::byte* w_row = a.w + column * a.w_row_bytes;
  const float* x = a.x + first * a.x_stride;
  int n = static_cast<int>(min(static_cast<int64_t>(kTile), a.rows - first));  // a last tile repeats its last row

  float sum[kTile] = {};
  int64_t runs = a.in / quant::kRun;
  for (int64_t run = lane; run < runs; run += kWarp) {
    float w[quant::kRun];
    Reader::template load<kAligned>(w_row, run, w);
#pragma unroll
    for (int r = 0; r < kTile; ++r) {
      alignas(16) float values[quant::kRun];
      load_x<kAligned>(x + min(r, n - 1) * a.x_stride + run * quant::kRun, values);
#pragma unroll
      for (int j = 0; j < quant::kRun; ++j) sum[r] = fmaf(w[j], values[j], sum[r]);
    }
  }
  if constexpr (Reader::kHasTail) {
    for (int64_t i = runs * quant::kRun; lane == runs % kWarp && i < a.in; ++i) {
      float w = Reader::load_one(w_row, i);
#pragma unroll
      for (int r = 0; r < kTile; ++r) {
        sum[r] = fmaf(w, x[min(r, n - 1) * a.x_stride + i], sum[r]);
      }
    }
  }
#pragma unroll
  for (int r = 0; r < kTile; ++r) {
    for (int distance = kWarp / 2; distance > 0; distance /= 2) sum[r] += __shfl_xor_sync(~0u, sum[r], distance);
    if (lane == r && r < n) a.y[(first + r) * a.out + column] = a.bias ? sum[r] + a.bias[column] : sum[r];
  }
}

template <class Reader, int kTile, bool kAligned = true>
void start_tile(Stream stream, const LinearArgs& args) {
  dim3 grid(blocks_for(args.out, kWarps), blocks_for(args.rows, kTile));
  launch(stream, "linear", grid, kWarp * kWarps, linear_kernel<Reader, kTile, kAligned>, args);
}

// Few rows decode into a small tile, many into one that decodes each weight once per eight rows. Odd shapes, which no
// model has, take whatever is simplest.
template <class Reader>
void start(Stream stream, const LinearArgs& args) {
  if (!args.aligned) return start_tile<Reader, 1, false>(stream, args);
  if (args.rows == 1) return start_tile<Reader, 1>(stream, args);
  if (args.rows <= 4) return start_tile<Reader, 4>(stream, args);
  start_tile<Reader, 8>(stream, args);
}

template <class List>
StartLinear pick(DType scheme) {
  return pick_reader<StartLinear>(List{}, scheme,
                                  []<class Reader>(std::type_identity<Reader>) -> StartLinear { return start<Reader>; });
}

}  // namespace linear_device
}  // namespace hearth::cuda
