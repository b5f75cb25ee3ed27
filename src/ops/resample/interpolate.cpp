// Nearest-exact, bilinear, bicubic and area, in float32 with torch's order of operations.
#include <algorithm>
#include <cmath>

#include "ops/resample/resample_kernels.h"

namespace hearth::resampling {
namespace {

// Where the centre of output position i lies in the source.
float source_position(float scale, int64_t i) { return scale * (static_cast<float>(i) + 0.5f) - 0.5f; }

float scale_of(int64_t from, int64_t to) { return static_cast<float>(from) / static_cast<float>(to); }

// torch's cubic convolution with A = -0.75.
float cubic_near(float x) { return ((-0.75f + 2) * x - (-0.75f + 3)) * x * x + 1; }
float cubic_far(float x) { return ((-0.75f * x + 5 * 0.75f) * x - 8 * 0.75f) * x + 4 * 0.75f; }

}  // namespace

Taps nearest_exact_taps(int64_t from, int64_t to) {
  Taps taps{.count = 1, .index = {}, .weight = std::vector<float>(static_cast<size_t>(to), 1.0f)};
  float scale = scale_of(from, to);
  for (int64_t i = 0; i < to; ++i) {
    taps.index.push_back(std::min(static_cast<int64_t>((static_cast<float>(i) + 0.5f) * scale), from - 1));
  }
  return taps;
}

Taps bilinear_taps(int64_t from, int64_t to) {
  Taps taps{.count = 2, .index = {}, .weight = {}};
  float scale = scale_of(from, to);
  for (int64_t i = 0; i < to; ++i) {
    float at = std::max(source_position(scale, i), 0.0f);
    int64_t low = std::min(static_cast<int64_t>(at), from - 1);
    float part = std::clamp(at - static_cast<float>(low), 0.0f, 1.0f);
    taps.index.insert(taps.index.end(), {low, std::min(low + 1, from - 1)});
    taps.weight.insert(taps.weight.end(), {1.0f - part, part});
  }
  return taps;
}

Taps bicubic_taps(int64_t from, int64_t to) {
  Taps taps{.count = 4, .index = {}, .weight = {}};
  float scale = scale_of(from, to);
  for (int64_t i = 0; i < to; ++i) {
    float at = source_position(scale, i);
    auto low = std::min(static_cast<int64_t>(std::floor(at)), from - 1);
    float t = std::clamp(at - static_cast<float>(low), 0.0f, 1.0f);
    for (int64_t k = -1; k <= 2; ++k) taps.index.push_back(std::clamp(low + k, int64_t{0}, from - 1));
    float u = 1.0f - t;
    taps.weight.insert(taps.weight.end(), {cubic_far(t + 1), cubic_near(t), cubic_near(u), cubic_far(u + 1)});
  }
  return taps;
}

void interpolate(const Source& from, const Map& to, const Taps& rows, const Taps& columns) {
  const MapShape& out = to.shape;
  auto row_of_sums = [&](const float* row, int64_t x, int64_t c) {
    const int64_t* index = &columns.index[static_cast<size_t>(x * columns.count)];
    const float* weight = &columns.weight[static_cast<size_t>(x * columns.count)];
    const float* channel = row + c * from.channel_step;
    float sum = channel[index[0] * from.column_step] * weight[0];
    for (int k = 1; k < columns.count; ++k) sum += channel[index[k] * from.column_step] * weight[k];
    return sum;
  };
  for (int64_t image = 0; image < out.batch; ++image) {
    for (int64_t y = 0; y < out.height; ++y) {
      const int64_t* index = &rows.index[static_cast<size_t>(y * rows.count)];
      const float* weight = &rows.weight[static_cast<size_t>(y * rows.count)];
      float* line = to.data + image * out.image_step() + y * out.row_step();
      for (int64_t x = 0; x < out.width; ++x) {
        for (int64_t c = 0; c < out.channels; ++c) {
          float sum = row_of_sums(from.at(image, index[0]), x, c) * weight[0];
          for (int k = 1; k < rows.count; ++k) sum += row_of_sums(from.at(image, index[k]), x, c) * weight[k];
          line[x * out.column_step() + c * out.channel_step()] = sum;
        }
      }
    }
  }
}

void area(const Source& from, const Map& to) {
  const MapShape& out = to.shape;
  auto begin = [](int64_t i, int64_t source, int64_t size) { return i * source / size; };
  auto end = [](int64_t i, int64_t source, int64_t size) { return ((i + 1) * source + size - 1) / size; };
  for (int64_t image = 0; image < out.batch; ++image) {
    for (int64_t y = 0; y < out.height; ++y) {
      int64_t top = begin(y, from.height, out.height), bottom = end(y, from.height, out.height);
      for (int64_t x = 0; x < out.width; ++x) {
        int64_t left = begin(x, from.width, out.width), right = end(x, from.width, out.width);
        for (int64_t c = 0; c < out.channels; ++c) {
          float sum = 0;
          for (int64_t v = top; v < bottom; ++v) {
            const float* row = from.at(image, v) + c * from.channel_step;
            for (int64_t u = left; u < right; ++u) sum += row[u * from.column_step];
          }
          to.data[image * out.image_step() + y * out.row_step() + x * out.column_step() + c * out.channel_step()] =
              sum / static_cast<float>(bottom - top) / static_cast<float>(right - left);
        }
      }
    }
  }
}

}  // namespace hearth::resampling
