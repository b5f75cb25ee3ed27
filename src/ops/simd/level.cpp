#include "ops/simd/level.h"

#include <cmath>

#include "ops/attention/attention_tile.h"
#include "ops/attention/full_attention_kernels.h"
#include "ops/gemm/gemm.h"
#include "ops/norm/norm_kernels.h"
#include "ops/pointwise/pointwise_kernels.h"

namespace hearth::cpu {
namespace {

template <class Function>
void map(const float* x, int64_t n, float* y, Function function) {
  for (int64_t i = 0; i < n; ++i) y[i] = static_cast<float>(function(static_cast<double>(x[i])));
}

constexpr MathKernels kMathPlain = {
    [](const float* x, int64_t n, float* y) { map(x, n, y, [](double v) { return std::exp(v); }); },
    [](const float* x, int64_t n, float* y) { map(x, n, y, [](double v) { return std::tanh(v); }); },
    [](const float* x, int64_t n, float* sin, float* cos) {
      map(x, n, sin, [](double v) { return std::sin(v); });
      map(x, n, cos, [](double v) { return std::cos(v); });
    },
    [](const float* x, int64_t n, float* y) { map(x, n, y, [](double v) { return std::erf(v); }); }};

constinit const Level kPlainLevel{&kNormPlain, &kPointwisePlain, &kAttentionPlain,
                                  &kMathPlain, &kGemmPlain,      &kFullAttentionPlain};

}  // namespace

const Level& level([[maybe_unused]] CpuIsa isa) {
#if defined(__x86_64__)
  if (isa == CpuIsa::kAvx512Vnni) return kAvx512Level;
  if (isa == CpuIsa::kAvx2) return kAvx2Level;
#elif defined(__aarch64__)
  if (isa != CpuIsa::kPlain) return kNeonLevel;
#endif
  return kPlainLevel;
}

}  // namespace hearth::cpu
