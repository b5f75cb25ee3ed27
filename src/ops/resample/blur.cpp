#include "ops/resample/blur.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include <fmt/format.h>

#include "core/base/check.h"
#include "core/base/error.h"

namespace hearth {
namespace {

void need_smaller_radius(const MapShape& shape, int radius) {
  if (radius >= 0 && radius < shape.width && radius < shape.height) return;
  throw Error(Code::kInvalidArgument,
              fmt::format("a radius of {} on a picture of {}x{}: the radius must be smaller than both sides", radius,
                          shape.width, shape.height));
}

int64_t mirrored(int64_t i, int64_t size) {
  if (i < 0) return -i;
  return i < size ? i : 2 * size - 2 - i;
}

// Positions `step` elements apart.
struct Axis {
  int64_t size = 0, step = 0;
};

void blur_line(const float* from, float* to, const Axis& axis, const std::vector<float>& kernel) {
  auto radius = static_cast<int64_t>(kernel.size() / 2);
  for (int64_t i = 0; i < axis.size; ++i) {
    float sum = 0;
    for (int64_t k = -radius; k <= radius; ++k) {
      sum += from[mirrored(i + k, axis.size) * axis.step] * kernel[static_cast<size_t>(k + radius)];
    }
    to[i * axis.step] = sum;
  }
}

}  // namespace

std::vector<float> gaussian_axis(int radius, float sigma) {
  int size = 2 * radius + 1;
  std::vector<double> axis;
  for (int i = 0; i < size; ++i) {
    double x = radius == 0 ? 0 : static_cast<double>(i - radius) / radius;
    axis.push_back(std::exp(-x * x / (2.0 * sigma * sigma)));
  }
  double sum = std::accumulate(axis.begin(), axis.end(), 0.0);
  std::vector<float> out;
  for (double value : axis) out.push_back(static_cast<float>(value / sum));
  return out;
}

void gaussian_blur(const ConstMap& from, const Map& to, int radius, float sigma) {
  const MapShape& shape = from.shape;
  check(to.shape.elements() == shape.elements() && to.shape.order == shape.order, "blurring keeps the shape");
  need_smaller_radius(shape, radius);
  std::vector<float> kernel = gaussian_axis(radius, sigma);
  std::vector<float> wide(static_cast<size_t>(shape.image_step()));  // one image, blurred along x
  for (int64_t image = 0; image < shape.batch; ++image) {
    const float* in = from.data + image * shape.image_step();
    float* out = to.data + image * shape.image_step();
    for (int64_t c = 0; c < shape.channels; ++c) {
      int64_t channel = c * shape.channel_step();
      for (int64_t y = 0; y < shape.height; ++y) {
        int64_t start = channel + y * shape.row_step();
        blur_line(in + start, wide.data() + start, {shape.width, shape.column_step()}, kernel);
      }
      for (int64_t x = 0; x < shape.width; ++x) {
        int64_t start = channel + x * shape.column_step();
        blur_line(wide.data() + start, out + start, {shape.height, shape.row_step()}, kernel);
      }
    }
  }
}

void sharpen(const ConstMap& from, const Map& to, int radius, float sigma, float alpha) {
  gaussian_blur(from, to, radius, sigma);
  if (radius == 0) return;
  float amount = alpha * 10;
  for (int64_t i = 0; i < from.shape.elements(); ++i) {
    float sharp = from.data[i] + amount * (from.data[i] - to.data[i]);
    to.data[i] = std::clamp(sharp, 0.0f, 1.0f);
  }
}

}  // namespace hearth
