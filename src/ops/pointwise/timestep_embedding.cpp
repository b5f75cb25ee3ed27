#include "ops/pointwise/timestep_embedding.h"

#include <cmath>

#include <fmt/format.h>

#include "ops/cpu_only.h"

namespace hearth {
namespace {

// Too little work for threads or vectors: a few hundred values a step.
void embed_step(float t, int64_t dim, float max_period, float* y) {
  const int64_t half = dim / 2;
  const float rate = static_cast<float>(-std::log(static_cast<double>(max_period)));
  for (int64_t i = 0; i < half; ++i) {
    float exponent = rate * static_cast<float>(i) / static_cast<float>(half);
    float angle = t * static_cast<float>(std::exp(static_cast<double>(exponent)));
    y[i] = static_cast<float>(std::cos(static_cast<double>(angle)));
    y[half + i] = static_cast<float>(std::sin(static_cast<double>(angle)));
  }
  if (dim % 2 != 0) y[dim - 1] = 0;
}

}  // namespace

Tensor timestep_embedding(Ctx& c, const Tensor& t, int dim, float max_period) {
  require_cpu(c, "timestep_embedding");
  if (t.dtype() != DType::kF32 || t.rank() != 1 || !t.is_contiguous() || dim < 2 || !(max_period > 0)) {
    throw Error(
        Code::kInvalidArgument,
        fmt::format("timestep_embedding: got t {} {}, dim {} and max_period {}, wanted contiguous t f32 [B], dim "
                    ">= 2 and max_period > 0",
                    name(t.dtype()), t.shape().text(), dim, max_period));
  }
  Tensor y = c.make(DType::kF32, {t.dim(0), dim});
  c.count("timestep_embedding", 24 * static_cast<double>(y.numel()), static_cast<double>(y.bytes() + t.bytes()));
  if (c.is_meta()) return y;
  for (int64_t b = 0; b < t.dim(0); ++b) embed_step(t.data<float>()[b], dim, max_period, y.data<float>() + b * dim);
  return y;
}

}  // namespace hearth
