#include "runtime/diffuse/sampling/resize_mask.h"

#include <algorithm>
#include <cmath>

#include "core/base/check.h"

namespace hearth::diffuse {
namespace {

/// Where an output pixel lies between two input pixels.
struct Tap {
  int64_t low, high;
  float weight;  // of high
};
std::vector<Tap> taps(int64_t from, int64_t to) {
  float scale = static_cast<float>(from) / static_cast<float>(to);
  std::vector<Tap> all;
  for (int64_t i = 0; i < to; ++i) {
    float at = std::max(0.0f, scale * (static_cast<float>(i) + 0.5f) - 0.5f);
    int64_t low = std::min(static_cast<int64_t>(at), from - 1);
    all.push_back({low, std::min(low + 1, from - 1), std::min(at - static_cast<float>(low), 1.0f)});
  }
  return all;
}

}  // namespace

Planes planes_of(const Tensor& tensor) {
  check(tensor.rank() >= 2 && tensor.is_contiguous(), "a mask has height and width and lies in one piece");
  Planes planes{1, tensor.dim(-2), tensor.dim(-1), {}};
  const float* data = tensor.data<float>();
  planes.values.assign(data, data + tensor.numel());
  planes.count = tensor.numel() / std::max<int64_t>(planes.height * planes.width, 1);
  return planes;
}

Planes resized(const Planes& from, int64_t height, int64_t width) {
  if (from.height == height && from.width == width) return from;
  const std::vector<Tap> rows = taps(from.height, height), columns = taps(from.width, width);
  Planes to{from.count, height, width, {}};
  to.values.reserve(static_cast<size_t>(from.count * height * width));
  for (int64_t i = 0; i < from.count; ++i) {
    auto at = [plane = from.plane(i), &from](int64_t y, int64_t x) {
      return plane[static_cast<size_t>(y * from.width + x)];
    };
    for (const Tap& row : rows)
      for (const Tap& column : columns) {
        auto across = [&](int64_t y) {
          return at(y, column.low) * (1.0f - column.weight) + at(y, column.high) * column.weight;
        };
        to.values.push_back(across(row.low) * (1.0f - row.weight) + across(row.high) * row.weight);
      }
  }
  return to;
}

Planes centre_cropped(const Planes& from, int64_t height, int64_t width) {
  double old_aspect = static_cast<double>(from.width) / static_cast<double>(from.height);
  double new_aspect = static_cast<double>(width) / static_cast<double>(height);
  int64_t x = 0, y = 0;
  auto margin = [](int64_t size, double part) {
    double whole = static_cast<double>(size);
    return static_cast<int64_t>(std::nearbyint((whole - whole * part) / 2));
  };
  if (old_aspect > new_aspect)
    x = margin(from.width, new_aspect / old_aspect);
  else if (old_aspect < new_aspect)
    y = margin(from.height, old_aspect / new_aspect);
  if (x == 0 && y == 0) return from;
  Planes to{from.count, from.height - 2 * y, from.width - 2 * x, {}};
  for (int64_t i = 0; i < from.count; ++i)
    for (int64_t row = y; row < y + to.height; ++row) {
      auto line = from.plane(i).subspan(static_cast<size_t>(row * from.width + x), static_cast<size_t>(to.width));
      to.values.insert(to.values.end(), line.begin(), line.end());
    }
  return to;
}

int64_t spread_member(int64_t i, int64_t have, int64_t want) {
  if (have == want || want <= 1) return i;
  if (want < have) {
    double stride = static_cast<double>(have - 1) / static_cast<double>(want - 1);
    return std::min(static_cast<int64_t>(std::nearbyint(static_cast<double>(i) * stride)), have - 1);
  }
  double stride = static_cast<double>(have) / static_cast<double>(want);
  return std::min(static_cast<int64_t>(std::floor((static_cast<double>(i) + 0.5) * stride)), have - 1);
}

Field noise_mask(const Tensor& mask, const LatentShape& shape) {
  const Planes planes = resized(planes_of(mask), shape.height, shape.width);
  Field out(shape.numel());
  float* to = out.data();
  for (int64_t b = 0; b < shape.batch; ++b)
    for (int64_t c = 0; c < shape.channels; ++c) {
      auto plane = planes.plane(b % planes.count);
      to = std::copy(plane.begin(), plane.end(), to);
    }
  return out;
}

}  // namespace hearth::diffuse
