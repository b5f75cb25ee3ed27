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

void layer_norm_row(const float* x, const float* w, const float* b, int64_t dim, float eps, float* y) {
  float sum = 0, squares = 0;
  for (int64_t i = 0; i < dim; ++i) sum += x[i];
  float mean = sum / static_cast<float>(dim);
  for (int64_t i = 0; i < dim; ++i) squares += (x[i] - mean) * (x[i] - mean);
  float factor = 1.0f / std::sqrt(squares / static_cast<float>(dim) + eps);
  for (int64_t i = 0; i < dim; ++i) y[i] = (x[i] - mean) * factor * (w ? w[i] : 1.0f) + (b ? b[i] : 0.0f);
}

void channel_sums(const float* x, int64_t pixels, int64_t channels, const float* shift, float* sums) {
  std::fill_n(sums, 2 * channels, 0.0f);
  for (int64_t p = 0; p < pixels; ++p, x += channels) {
    for (int64_t i = 0; i < channels; ++i) {
      float d = x[i] - shift[i];
      sums[i] += d;
      sums[channels + i] += d * d;
    }
  }
}

void scale_channels(const float* x, int64_t pixels, int64_t channels, const float* factor, const float* offset,
                    bool silu, float* y) {
  for (int64_t i = 0; i < pixels * channels; ++i) {
    float v = x[i] * factor[i % channels] + offset[i % channels];
    y[i] = silu ? v / (1.0f + std::exp(-v)) : v;
  }
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

constinit const NormKernels kNormPlain{rms_norm_row, add_rms_norm_row, layer_norm_row, channel_sums, scale_channels};

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

void layer_norm(const Ctx& c, const View& x, const View& w, const View& b, float eps, const View& y) {
  const NormKernels& kernels = *level(c.caps.isa).norm;
  const float* factor = w.data ? w.as<float>() : nullptr;
  const float* offset = b.data ? b.as<float>() : nullptr;
  int64_t dim = x.shape[-1];
  c.parallel_for(y.rows(), row_grain(dim), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      kernels.layer_norm(x.as<float>() + row_offset(x, row), factor, offset, dim, eps, y.as<float>() + row * dim);
    }
  });
}

}  // namespace hearth::cpu
