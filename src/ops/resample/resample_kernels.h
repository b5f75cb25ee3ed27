// What the methods of resample.h share: a window of a map with its steps, and one file for each family.
#pragma once
#include <cstdint>
#include <vector>

#include "ops/resample/resample.h"

namespace hearth::resampling {

/// A source whose origin is the window's corner.
struct Source {
  const float* data = nullptr;
  int64_t batch = 0, height = 0, width = 0, channels = 0;
  int64_t image_step = 0, row_step = 0, column_step = 0, channel_step = 0;

  const float* at(int64_t image, int64_t y) const { return data + image * image_step + y * row_step; }
};

/// For one output position along an axis: `count` source positions and their weights.
struct Taps {
  int count = 0;
  std::vector<int64_t> index;  // count for each position
  std::vector<float> weight;
};

Taps nearest_exact_taps(int64_t from, int64_t to);
Taps bilinear_taps(int64_t from, int64_t to);
Taps bicubic_taps(int64_t from, int64_t to);

/// Rows of taps over columns of taps, inner sums along x first.
void interpolate(const Source& from, const Map& to, const Taps& rows, const Taps& columns);
void area(const Source& from, const Map& to);
void lanczos(const Source& from, const Map& to);
void bislerp(const Source& from, const Map& to);

}  // namespace hearth::resampling
