#include <algorithm>
#include <cmath>

#include "ops/norm/norm_kernels.h"
#include "ops/simd/level.h"

namespace hearth::cpu {
namespace {

// Reference: a plain sum from left to right.
void rms_norm_row(const float* x, const float* w, int64_t dim, float eps, float* y) {
  float squares = 0;
  for (int64_t i = 0; i < dim; ++i) squares += x[i] * x[i];
  float factor = 1.0f / std::sqrt(squares / static_cast<float>(dim) + eps);
  for (int64_t i = 0; i < dim; ++i) y[i] = x[i] * factor * w[i];
}

void add_rms_norm_row(const float* a, const float* b, const float* w, int64_t dim, float eps, float* sum, float* y) {
  for (int64_t i = 0; i < dim; ++i) sum[i] = a[i] + b[i];
  rms_norm_row(sum, w, dim, eps, y);
}

// Elements a thread takes at a time: about 3 us of work, more than waking another thread costs.
constexpr int64_t kGrainElements = 32768;
int64_t row_grain(int64_t dim) { return std::max<int64_t>(1, kGrainElements / std::max<int64_t>(dim, 1)); }

// Element offset of a row among the leading dimensions.
int64_t row_offset(const View& x, int64_t row) {
  int64_t offset = 0;
  for (int i = x.shape.rank() - 2; i >= 0; --i) {
    offset += row % x.shape[i] * x.strides[i];
    row /= x.shape[i];
  }
  return offset;
}

}  // namespace

constinit const NormKernels kNormPlain{rms_norm_row, add_rms_norm_row};

void rms_norm(const Ctx& c, const View& x, const View& w, float eps, const View& y) {
  const NormKernels& kernels = *level(c.caps.isa).norm;
  int64_t dim = x.shape[-1];
  c.parallel_for(y.rows(), row_grain(dim), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      kernels.rms_norm(x.as<float>() + row_offset(x, row), w.as<float>(), dim, eps, y.as<float>() + row * dim);
    }
  });
}

void add_rms_norm(const Ctx& c, const View& a, const View& b, const View& w, float eps, const View& sum,
                  const View& y) {
  const NormKernels& kernels = *level(c.caps.isa).norm;
  int64_t dim = a.shape[-1];
  c.parallel_for(y.rows(), row_grain(dim), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t at = row * dim;
      kernels.add_rms_norm(a.as<float>() + at, b.as<float>() + at, w.as<float>(), dim, eps, sum.as<float>() + at,
                           y.as<float>() + at);
    }
  });
}

}  // namespace hearth::cpu
