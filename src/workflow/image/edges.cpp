#include "workflow/image/edges.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

namespace hearth::workflow {
namespace {

/// One channel, row by row.
struct Plane {
  int64_t height = 0, width = 0;
  std::vector<float> values = std::vector<float>(static_cast<size_t>(height * width));

  float& at(int64_t y, int64_t x) { return values[static_cast<size_t>(y * width + x)]; }
  float at(int64_t y, int64_t x) const { return values[static_cast<size_t>(y * width + x)]; }
  bool holds(int64_t y, int64_t x) const { return y >= 0 && x >= 0 && y < height && x < width; }
};

int64_t mirrored(int64_t i, int64_t n) { return i < 0 ? -i : i >= n ? 2 * (n - 1) - i : i; }

Plane grey_of(const Tensor& image, int64_t index) {
  Plane grey{image.dim(1), image.dim(2)};
  const int64_t channels = image.dim(3);
  const float* from = image.data<const float>() + index * image.numel() / image.dim(0);
  for (float& value : grey.values) {
    value = channels < 3 ? from[0] : 0.299f * from[0] + 0.587f * from[1] + 0.114f * from[2];
    from += channels;
  }
  return grey;
}

/// Blurred by a Gaussian of deviation 1 over five pixels; borders are mirrored.
Plane blurred(const Plane& from) {
  std::array<float, 5> kernel{};
  float sum = 0;
  for (int i = 0; i < 5; ++i)
    sum += kernel[static_cast<size_t>(i)] = std::exp(-static_cast<float>((i - 2) * (i - 2)) / 2);
  for (float& weight : kernel) weight /= sum;
  Plane rows{from.height, from.width}, out{from.height, from.width};
  for (int64_t y = 0; y < out.height; ++y)
    for (int64_t x = 0; x < out.width; ++x)
      for (int i = -2; i <= 2; ++i)
        rows.at(y, x) += kernel[static_cast<size_t>(i + 2)] * from.at(y, mirrored(x + i, out.width));
  for (int64_t y = 0; y < out.height; ++y)
    for (int64_t x = 0; x < out.width; ++x)
      for (int i = -2; i <= 2; ++i)
        out.at(y, x) += kernel[static_cast<size_t>(i + 2)] * rows.at(mirrored(y + i, out.height), x);
  return out;
}

/// Length and direction (0..7, eighths of a turn from right to down) of Sobel's gradient; borders are repeated.
struct Gradient {
  Plane length;
  std::vector<int> direction;
};

constexpr float kFlat = 1e-6f;  // squared length where nothing changes

Gradient gradient_of(const Plane& from) {
  Gradient out{Plane{from.height, from.width}, std::vector<int>(from.values.size())};
  auto value = [&](int64_t y, int64_t x) {
    return from.at(std::clamp<int64_t>(y, 0, from.height - 1), std::clamp<int64_t>(x, 0, from.width - 1));
  };
  for (int64_t y = 0; y < from.height; ++y)
    for (int64_t x = 0; x < from.width; ++x) {
      float across = 0, down = 0;
      for (int64_t i = -1; i <= 1; ++i) {
        const float weight = i == 0 ? 2.0f : 1.0f;
        across += weight * (value(y + i, x + 1) - value(y + i, x - 1));
        down += weight * (value(y + 1, x + i) - value(y - 1, x + i));
      }
      out.length.at(y, x) = std::sqrt(across * across + down * down + kFlat);
      const float eighths = std::atan2(down, across) * static_cast<float>(4 / std::numbers::pi);
      out.direction[static_cast<size_t>(y * from.width + x)] = (static_cast<int>(std::nearbyint(eighths)) + 8) % 8;
    }
  return out;
}

/// Whether a pixel is longer than its neighbours ahead and behind; of two equal ones the left or upper one is.
bool is_ridge(const Gradient& g, int64_t y, int64_t x) {
  constexpr int kDown[] = {0, 1, 1, 1, 0, -1, -1, -1}, kRight[] = {1, 1, 0, -1, -1, -1, 0, 1};
  const float own = g.length.at(y, x);
  auto beats = [&](int direction) {
    const int64_t v = y + kDown[direction], u = x + kRight[direction];
    const float other = g.length.holds(v, u) ? g.length.at(v, u) : std::sqrt(kFlat);
    const bool accepts_equal = direction == 0 || direction == 2;
    return own > other || (accepts_equal && own == other);
  };
  const int direction = g.direction[static_cast<size_t>(y * g.length.width + x)];
  return beats(direction) && beats((direction + 4) % 8);
}

/// Strong ridges, and from them along every weak one they touch.
std::vector<char> traced(const Gradient& g, float low, float high) {
  const int64_t height = g.length.height, width = g.length.width;
  std::vector<char> is_weak(g.length.values.size()), is_edge(g.length.values.size());
  std::vector<int64_t> open;
  for (int64_t at = 0; at < height * width; ++at) {
    const float length = g.length.values[static_cast<size_t>(at)];
    if (!(length > low) || !is_ridge(g, at / width, at % width)) continue;
    is_weak[static_cast<size_t>(at)] = 1;
    if (length > high) open.push_back(at), is_edge[static_cast<size_t>(at)] = 1;
  }
  while (!open.empty()) {
    const int64_t y = open.back() / width, x = open.back() % width;
    open.pop_back();
    for (int64_t v = y - 1; v <= y + 1; ++v)
      for (int64_t u = x - 1; u <= x + 1; ++u) {
        const auto at = static_cast<size_t>(v * width + u);
        if (!g.length.holds(v, u) || !is_weak[at] || is_edge[at]) continue;
        is_edge[at] = 1;
        open.push_back(v * width + u);
      }
  }
  return is_edge;
}

}  // namespace

Tensor canny_edges(Allocator& memory, const Tensor& image, float low, float high) {
  if (low > high) {
    throw Error(Code::kInvalidArgument, fmt::format("low_threshold {} is above high_threshold {}", low, high));
  }
  if (image.dim(1) < 3 || image.dim(2) < 3) {
    throw Error(Code::kInvalidArgument,
                fmt::format("no edges in {}x{} pixels: at least 3 on a side are needed", image.dim(2), image.dim(1)));
  }
  Tensor out = make_tensor(memory, {image.dim(0), image.dim(1), image.dim(2), 3});
  float* to = out.data<float>();
  for (int64_t i = 0; i < image.dim(0); ++i) {
    for (char is_edge : traced(gradient_of(blurred(grey_of(image, i))), low, high)) {
      to = std::fill_n(to, 3, is_edge ? 1.0f : 0.0f);
    }
  }
  return out;
}

}  // namespace hearth::workflow
