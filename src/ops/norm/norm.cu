// One block per row. How many threads a row gets, and so the order of its sum of squares, follows from its length.
#include <algorithm>

#include "core/device/cuda.cuh"
#include "ops/norm/norm_kernels.h"

namespace hearth::cuda {
namespace {

constexpr int kMaxThreads = 256, kWarp = 32;

// Leading dimensions of a view; the last dimension is contiguous.
struct Rows {
  const float* data;
  int rank;
  int64_t dims[kMaxRank], strides[kMaxRank];
};

Rows rows_of(const View& x) {
  Rows rows{x.as<float>(), x.shape.rank() - 1, {}, {}};
  for (int i = 0; i < rows.rank; ++i) rows.dims[i] = x.shape[i], rows.strides[i] = x.strides[i];
  return rows;
}

unsigned threads_for(int64_t dim) {
  int64_t warps = (dim + 4 * kWarp - 1) / (4 * kWarp);  // about four elements a thread
  return static_cast<unsigned>(std::clamp<int64_t>(warps * kWarp, kWarp, kMaxThreads));
}

__device__ const float* row_at(const Rows& rows, int64_t row) {
  const float* at = rows.data;
  for (int i = rows.rank - 1; i >= 0; --i) {
    at += row % rows.dims[i] * rows.strides[i];
    row /= rows.dims[i];
  }
  return at;
}

// Sum over the block, the same in every thread: lanes by butterfly, then warps in order.
__device__ float block_sum(float value) {
  __shared__ float of_warp[kMaxThreads / kWarp];
  for (int distance = kWarp / 2; distance > 0; distance /= 2) value += __shfl_xor_sync(~0u, value, distance);
  if (threadIdx.x % kWarp == 0) of_warp[threadIdx.x / kWarp] = value;
  __syncthreads();
  float sum = 0;
  for (unsigned warp = 0; warp < blockDim.x / kWarp; ++warp) sum += of_warp[warp];
  return sum;
}

__device__ void normalise(const float* x, const float* w, int64_t dim, float eps, float* y) {
  float squares = 0;
  for (int64_t i = threadIdx.x; i < dim; i += blockDim.x) squares = fmaf(x[i], x[i], squares);
  float factor = 1.0f / sqrtf(block_sum(squares) / static_cast<float>(dim) + eps);
  for (int64_t i = threadIdx.x; i < dim; i += blockDim.x) y[i] = x[i] * factor * w[i];
}

__global__ void __launch_bounds__(kMaxThreads)
    rms_norm_kernel(const __grid_constant__ Rows x, const float* w, int64_t dim, float eps, float* y) {
  normalise(row_at(x, blockIdx.x), w, dim, eps, y + blockIdx.x * dim);
}

__global__ void __launch_bounds__(kMaxThreads)
    add_rms_norm_kernel(const float* a, const float* b, const float* w, int64_t dim, float eps, float* sum, float* y) {
  int64_t at = blockIdx.x * dim;
  // A thread reads back only what it wrote itself.
  for (int64_t i = threadIdx.x; i < dim; i += blockDim.x) sum[at + i] = a[at + i] + b[at + i];
  normalise(sum + at, w, dim, eps, y + at);
}

}  // namespace

void rms_norm(Stream stream, const View& x, const View& w, float eps, const View& y) {
  int64_t dim = x.shape[-1];
  launch(stream, "rms_norm", static_cast<unsigned>(y.rows()), threads_for(dim), rms_norm_kernel, rows_of(x),
         w.as<float>(), dim, eps, y.as<float>());
}

void add_rms_norm(Stream stream, const View& a, const View& b, const View& w, float eps, const View& sum,
                  const View& y) {
  int64_t dim = a.shape[-1];
  launch(stream, "add_rms_norm", static_cast<unsigned>(y.rows()), threads_for(dim), add_rms_norm_kernel, a.as<float>(),
         b.as<float>(), w.as<float>(), dim, eps, sum.as<float>(), y.as<float>());
}

}  // namespace hearth::cuda
