#include "core/device/cuda.cuh"
#include "ops/index/index_kernels.h"

namespace hearth::cuda {
namespace {

constexpr int kThreads = 128;

__global__ void __launch_bounds__(kThreads)
    rows_kernel(const float* x, const int32_t* index, int64_t n, int64_t dim, float* y) {
  int64_t i = blockIdx.x;
  int64_t from = min(max(static_cast<int64_t>(index[i]), int64_t{0}), n - 1);
  for (int64_t d = threadIdx.x; d < dim; d += kThreads) y[i * dim + d] = x[from * dim + d];
}

}  // namespace

void rows(Stream stream, const View& x, const View& index, const View& y) {
  launch(stream, "rows", static_cast<unsigned>(index.shape[0]), kThreads, rows_kernel, x.as<const float>(),
         index.as<const int32_t>(), x.shape[0], x.shape[1], y.as<float>());
}

}  // namespace hearth::cuda
