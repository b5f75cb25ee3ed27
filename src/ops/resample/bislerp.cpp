// ComfyUI's bislerp: between two pixels the direction of the channel vector turns along the sphere and its length
// changes evenly; first along x, then along y.
#include <algorithm>
#include <cmath>

#include "ops/resample/resample_kernels.h"

namespace hearth::resampling {
namespace {

// For each output position the two source positions and how far it is from the first. They come, as in the reference,
// from interpolating the positions themselves in float32.
struct Steps {
  std::vector<int64_t> first, second;
  std::vector<float> part;
};

Steps make_steps(int64_t from, int64_t to) {
  Steps steps;
  Taps taps = bilinear_taps(from, to);
  for (size_t i = 0; i < static_cast<size_t>(to); ++i) {
    const int64_t* index = &taps.index[2 * i];
    const float* weight = &taps.weight[2 * i];
    auto next = [&](int64_t k) { return static_cast<float>(std::min(k + 1, from - 1)); };
    float at = static_cast<float>(index[0]) * weight[0] + static_cast<float>(index[1]) * weight[1];
    steps.part.push_back(at - std::floor(at));
    steps.first.push_back(static_cast<int64_t>(at));
    steps.second.push_back(static_cast<int64_t>(next(index[0]) * weight[0] + next(index[1]) * weight[1]));
  }
  return steps;
}

float length(const float* vector, int64_t step, int64_t n) {
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += vector[i * step] * vector[i * step];
  return std::sqrt(sum);
}

struct Vectors {
  const float* a;
  const float* b;
  int64_t step;
};

void slerp(const Vectors& from, float part, int64_t n, float* to, int64_t to_step) {
  float length_a = length(from.a, from.step, n), length_b = length(from.b, from.step, n);
  auto unit_a = [&](int64_t i) { return length_a == 0 ? 0 : from.a[i * from.step] / length_a; };
  auto unit_b = [&](int64_t i) { return length_b == 0 ? 0 : from.b[i * from.step] / length_b; };
  float dot = 0;
  for (int64_t i = 0; i < n; ++i) dot += unit_a(i) * unit_b(i);
  constexpr double kNear = 1e-5;
  if (dot > static_cast<float>(1 - kNear)) {  // one direction
    for (int64_t i = 0; i < n; ++i) to[i * to_step] = from.a[i * from.step];
  } else if (dot < static_cast<float>(kNear - 1)) {  // opposite directions
    for (int64_t i = 0; i < n; ++i) {
      to[i * to_step] = from.a[i * from.step] * (1.0f - part) + from.b[i * from.step] * part;
    }
  } else {
    float omega = std::acos(dot), sine = std::sin(omega);
    float weight_a = std::sin((1.0f - part) * omega) / sine, weight_b = std::sin(part * omega) / sine;
    float both = length_a * (1.0f - part) + length_b * part;
    for (int64_t i = 0; i < n; ++i) to[i * to_step] = (weight_a * unit_a(i) + weight_b * unit_b(i)) * both;
  }
}

}  // namespace

void bislerp(const Source& from, const Map& to) {
  const MapShape& out = to.shape;
  Steps columns = make_steps(from.width, out.width), rows = make_steps(from.height, out.height);
  int64_t n = from.channels;
  std::vector<float> wide(static_cast<size_t>(from.height * out.width * n));  // one image, stretched along x
  for (int64_t image = 0; image < out.batch; ++image) {
    for (int64_t y = 0; y < from.height; ++y) {
      const float* row = from.at(image, y);
      for (int64_t x = 0; x < out.width; ++x) {
        auto i = static_cast<size_t>(x);
        Vectors pair{row + columns.first[i] * from.column_step, row + columns.second[i] * from.column_step,
                     from.channel_step};
        slerp(pair, columns.part[i], n, wide.data() + (y * out.width + x) * n, 1);
      }
    }
    for (int64_t y = 0; y < out.height; ++y) {
      auto i = static_cast<size_t>(y);
      for (int64_t x = 0; x < out.width; ++x) {
        Vectors pair{wide.data() + (rows.first[i] * out.width + x) * n,
                     wide.data() + (rows.second[i] * out.width + x) * n, 1};
        float* pixel = to.data + image * out.image_step() + y * out.row_step() + x * out.column_step();
        slerp(pair, rows.part[i], n, pixel, out.channel_step());
      }
    }
  }
}

}  // namespace hearth::resampling
