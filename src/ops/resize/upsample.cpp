#include "ops/resize/upsample.h"

#include <algorithm>

#include <fmt/format.h>

#include "ops/cpu_only.h"

namespace hearth {
namespace {

// One row of pixels to two rows of twice as many.
void double_row(const float* x, int64_t width, int64_t channels, float* y) {
  float* to = y;
  for (int64_t i = 0; i < width; ++i, x += channels) {
    to = std::copy_n(x, channels, to);
    to = std::copy_n(x, channels, to);
  }
  std::copy(y, to, to);
}

}  // namespace

Tensor upsample_nearest2(Ctx& c, const Tensor& x) {
  require_cpu(c, "upsample_nearest2");
  if (x.dtype() != DType::kF32 || x.rank() != 4 || !x.is_contiguous()) {
    throw Error(Code::kInvalidArgument,
                fmt::format("upsample_nearest2: got x {} {}, wanted contiguous f32 [B, H, W, C]", name(x.dtype()),
                            x.shape().text()));
  }
  int64_t rows = x.dim(0) * x.dim(1), width = x.dim(2), channels = x.dim(3);
  Tensor y = c.make(DType::kF32, {x.dim(0), 2 * x.dim(1), 2 * width, channels});
  c.count("upsample_nearest2", 0, static_cast<double>(x.bytes() + y.bytes()));
  if (c.is_meta()) return y;
  constexpr int64_t kGrainElements = 32768;
  int64_t grain = std::max<int64_t>(1, kGrainElements / std::max<int64_t>(1, 4 * width * channels));
  c.parallel_for(rows, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int64_t at = row * width * channels;
      double_row(x.data<float>() + at, width, channels, y.data<float>() + 4 * at);
    }
  });
  return y;
}

}  // namespace hearth
