#include <algorithm>
#include <cmath>

#include "ops/pointwise/pointwise_kernels.h"
#include "ops/simd/level.h"

namespace hearth::cpu {
namespace {

float gelu_of(float x) { return 0.5f * x * (1.0f + std::erf(x * 0.707106781f)); }

template <class F>
void map(const float* x, int64_t n, float* y, F f) {
  for (int64_t i = 0; i < n; ++i) y[i] = f(x[i]);
}

// Reference: the formulas of pointwise.h, one element at a time.
constexpr PointwiseKernels kReference{
    [](const float* a, const float* b, int64_t n, float* y) {
      for (int64_t i = 0; i < n; ++i) y[i] = a[i] + b[i];
    },
    [](const float* x, float factor, int64_t n, float* y) {
      for (int64_t i = 0; i < n; ++i) y[i] = x[i] * factor;
    },
    [](const float* gate, const float* up, int64_t n, float* y) {
      for (int64_t i = 0; i < n; ++i) y[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
    },
    [](const float* gate, const float* up, int64_t n, float* y) {
      for (int64_t i = 0; i < n; ++i) {
        float g = gate[i], inner = 0.797884561f * (g + 0.044715f * g * g * g);  // sqrt(2/pi)
        y[i] = 0.5f * g * (1.0f + std::tanh(inner)) * up[i];
      }
    },
    [](const float* x, float limit, int64_t n, float* y) {
      for (int64_t i = 0; i < n; ++i) y[i] = limit * std::tanh(x[i] / limit);
    },
    [](const float* x, int64_t n, float* y) { map(x, n, y, [](float v) { return v / (1.0f + std::exp(-v)); }); },
    [](const float* x, int64_t n, float* y) { map(x, n, y, gelu_of); },
    [](const float* x, int64_t n, float* y) {
      map(x, n, y, [](float v) { return v / (1.0f + std::exp(-1.702f * v)); });
    },
    [](const float* x, int64_t n, float* y) { map(x, n, y, [](float v) { return v < 0 ? 0.0f : v; }); },
    [](const float* x, int64_t n, float* y) { map(x, n, y, [](float v) { return 3.0f * std::tanh(v / 3.0f); }); },
    [](const float* gate, const float* up, int64_t n, float* y) {
      for (int64_t i = 0; i < n; ++i) y[i] = gelu_of(gate[i]) * up[i];
    }};

// Elements a thread takes at a time: each about 3 us of work, more than waking another thread costs.
constexpr int64_t kLightGrain = 32768, kHeavyGrain = 8192;

template <class Body>
void spread(const Ctx& c, const View& y, int64_t grain, Body body) {
  c.parallel_for(y.shape.numel(), grain, [&](int64_t begin, int64_t end) { body(begin, end - begin); });
}

// The same by whole rows of `dim` elements.
template <class Body>
void spread_rows(const Ctx& c, int64_t rows, int64_t dim, int64_t grain, Body body) {
  c.parallel_for(rows, std::max<int64_t>(1, grain / std::max<int64_t>(dim, 1)), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) body(row);
  });
}

// Element offset of a row among the leading dimensions.
int64_t row_offset(const View& x, int64_t row) {
  int64_t offset = 0;
  for (int i = x.shape.rank() - 2; i >= 0; --i) {
    offset += row % x.shape[i] * x.strides[static_cast<size_t>(i)];
    row /= x.shape[i];
  }
  return offset;
}

}  // namespace

constinit const PointwiseKernels kPointwisePlain = kReference;

void add(const Ctx& c, const View& a, const View& b, const View& y) {
  spread(c, y, kLightGrain, [&, run = level(c.caps.isa).pointwise->add](int64_t at, int64_t n) {
    run(a.as<float>() + at, b.as<float>() + at, n, y.as<float>() + at);
  });
}

void scale(const Ctx& c, const View& x, float factor, const View& y) {
  spread(c, y, kLightGrain, [&, run = level(c.caps.isa).pointwise->scale](int64_t at, int64_t n) {
    run(x.as<float>() + at, factor, n, y.as<float>() + at);
  });
}

void swiglu(const Ctx& c, const View& gate, const View& up, const View& y) {
  spread(c, y, kHeavyGrain, [&, run = level(c.caps.isa).pointwise->swiglu](int64_t at, int64_t n) {
    run(gate.as<float>() + at, up.as<float>() + at, n, y.as<float>() + at);
  });
}

void geglu(const Ctx& c, const View& gate, const View& up, const View& y) {
  spread(c, y, kHeavyGrain, [&, run = level(c.caps.isa).pointwise->geglu](int64_t at, int64_t n) {
    run(gate.as<float>() + at, up.as<float>() + at, n, y.as<float>() + at);
  });
}

void softcap(const Ctx& c, const View& x, float limit, const View& y) {
  spread(c, y, kHeavyGrain, [&, run = level(c.caps.isa).pointwise->softcap](int64_t at, int64_t n) {
    run(x.as<float>() + at, limit, n, y.as<float>() + at);
  });
}

void unary(const Ctx& c, UnaryKernel PointwiseKernels::*kernel, const View& x, const View& y) {
  spread(c, y, kHeavyGrain, [&, run = level(c.caps.isa).pointwise->*kernel](int64_t at, int64_t n) {
    run(x.as<float>() + at, n, y.as<float>() + at);
  });
}

void geglu_erf(const Ctx& c, const View& gate, const View& up, const View& y) {
  int64_t dim = y.shape[-1];
  spread_rows(c, y.rows(), dim, kHeavyGrain, [&, run = level(c.caps.isa).pointwise->geglu_erf](int64_t row) {
    run(gate.as<float>() + row_offset(gate, row), up.as<float>() + row_offset(up, row), dim, y.as<float>() + row * dim);
  });
}

void add_row(const Ctx& c, const View& x, const View& b, const View& y) {
  int64_t dim = y.shape[2];
  spread_rows(c, y.shape[0] * y.shape[1], dim, kLightGrain, [&, run = level(c.caps.isa).pointwise->add](int64_t row) {
    run(x.as<float>() + row * dim, b.as<float>() + row / y.shape[1] * dim, dim, y.as<float>() + row * dim);
  });
}

}  // namespace hearth::cpu
