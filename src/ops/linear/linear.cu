#include "core/base/check.h"
#include "ops/linear/linear_device.cuh"
#include "ops/linear/linear_kernels.h"

namespace hearth::cuda {
namespace {

StartLinear start_of(DType scheme) {
  for (auto family : {linear_float, linear_legacy, linear_k, linear_iq, linear_low}) {
    if (StartLinear start = family(scheme)) return start;
  }
  return nullptr;
}

bool is_aligned(const void* data, int64_t row_bytes) {
  return reinterpret_cast<uintptr_t>(data) % 16 == 0 && row_bytes % 16 == 0;
}

}  // namespace

bool has_linear(DType scheme) { return start_of(scheme) != nullptr; }

int64_t linear_scratch_bytes(const Caps&, int64_t, const Matrix&) { return 0; }

void linear(Stream stream, const Caps&, const View& x, const Product& product, std::byte*) {
  const Matrix& w = product.w;
  check(w.layout == Layout::kFile, "a weight on CUDA lies as in the file");
  int64_t rows = x.shape[0], stride = x.strides[0], row = row_bytes(w.scheme, w.in);
  const float* data = x.as<const float>();
  bool x_aligned = is_aligned(data, rows == 1 ? 0 : 4 * stride);
  start_of(w.scheme)(stream, {w.data, row, data, stride, product.bias, product.y, rows, w.out, w.in,
                              info(w.scheme).is_block ? x_aligned : x_aligned && is_aligned(w.data, row)});
}

}  // namespace hearth::cuda
