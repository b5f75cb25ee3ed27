#include <cmath>

#include "ops/pointwise/pointwise_kernels.h"
#include "ops/simd/level.h"

namespace hearth::cpu {
namespace {

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
    }};

// Elements a thread takes at a time: each about 3 us of work, more than waking another thread costs.
constexpr int64_t kLightGrain = 32768, kHeavyGrain = 8192;

template <class Body>
void spread(const Ctx& c, const View& y, int64_t grain, Body body) {
  c.parallel_for(y.shape.numel(), grain, [&](int64_t begin, int64_t end) { body(begin, end - begin); });
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

}  // namespace hearth::cpu
