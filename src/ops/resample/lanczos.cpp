// Lanczos as ComfyUI has it: the map becomes an 8-bit picture, Pillow's resize of it, and a map again. Pillow filters
// in fixed point, along x and then along y, with an 8-bit picture in between; alpha is multiplied in for the while.
#include <algorithm>
#include <cmath>
#include <numbers>

#include <fmt/format.h>

#include "core/base/error.h"
#include "ops/resample/resample_kernels.h"

namespace hearth::resampling {
namespace {

constexpr int kPrecision = 32 - 8 - 2;  // bits behind the point of a weight
constexpr double kSupport = 3;

// Interleaved 8-bit samples.
struct Picture {
  int64_t height = 0, width = 0, channels = 0;
  std::vector<uint8_t> samples;

  Picture(int64_t height, int64_t width, int64_t channels)
      : height(height), width(width), channels(channels), samples(static_cast<size_t>(height * width * channels)) {}
  uint8_t* row(int64_t y) { return samples.data() + y * width * channels; }
  bool has_alpha() const { return channels == 2 || channels == 4; }
};

// One output position: its first source position and its weights.
struct Span {
  int64_t first = 0;
  std::vector<int32_t> weights;
};

double sinc(double x) { return x == 0 ? 1 : std::sin(x * std::numbers::pi) / (x * std::numbers::pi); }
double filter(double x) { return -kSupport <= x && x < kSupport ? sinc(x) * sinc(x / kSupport) : 0; }

std::vector<Span> make_spans(int64_t from, int64_t to) {
  double scale = static_cast<double>(from) / static_cast<double>(to), stretch = std::max(scale, 1.0);
  double support = kSupport * stretch, squeeze = 1 / stretch;
  std::vector<Span> spans(static_cast<size_t>(to));
  std::vector<double> weights;
  for (int64_t i = 0; i < to; ++i) {
    double centre = (static_cast<double>(i) + 0.5) * scale, sum = 0;
    int64_t first = std::max<int64_t>(static_cast<int64_t>(centre - support + 0.5), 0);
    int64_t last = std::min(static_cast<int64_t>(centre + support + 0.5), from);
    weights.clear();
    for (int64_t k = first; k < last; ++k) {
      weights.push_back(filter((static_cast<double>(k) - centre + 0.5) * squeeze));
      sum += weights.back();
    }
    Span& span = spans[static_cast<size_t>(i)];
    span.first = first;
    for (double weight : weights) {
      double fixed = (sum != 0 ? weight / sum : weight) * (1 << kPrecision);
      span.weights.push_back(static_cast<int32_t>(fixed < 0 ? fixed - 0.5 : fixed + 0.5));
    }
  }
  return spans;
}

uint8_t filtered(const uint8_t* first, int64_t step, const Span& span) {
  int32_t sum = 1 << (kPrecision - 1);
  for (int32_t weight : span.weights) {
    sum += *first * weight;
    first += step;
  }
  return static_cast<uint8_t>(std::clamp(sum >> kPrecision, 0, 255));
}

Picture resize_along_x(Picture& from, int64_t width) {
  Picture to(from.height, width, from.channels);
  std::vector<Span> spans = make_spans(from.width, width);
  for (int64_t y = 0; y < from.height; ++y) {
    uint8_t* out = to.row(y);
    for (const Span& span : spans) {
      const uint8_t* first = from.row(y) + span.first * from.channels;
      for (int64_t c = 0; c < from.channels; ++c) *out++ = filtered(first + c, from.channels, span);
    }
  }
  return to;
}

Picture resize_along_y(Picture& from, int64_t height) {
  Picture to(height, from.width, from.channels);
  std::vector<Span> spans = make_spans(from.height, height);
  int64_t row = from.width * from.channels;
  for (int64_t y = 0; y < height; ++y) {
    const Span& span = spans[static_cast<size_t>(y)];
    const uint8_t* first = from.row(span.first);
    for (int64_t i = 0; i < row; ++i) to.row(y)[i] = filtered(first + i, row, span);
  }
  return to;
}

uint8_t times(int a, int b) {
  int product = a * b + 128;
  return static_cast<uint8_t>(((product >> 8) + product) >> 8);
}

void multiply_alpha(Picture& picture) {
  for (size_t i = 0; i < picture.samples.size(); i += static_cast<size_t>(picture.channels)) {
    uint8_t* pixel = &picture.samples[i];
    int64_t colours = picture.channels - 1;
    for (int64_t c = 0; c < colours; ++c) pixel[c] = times(pixel[c], pixel[colours]);
  }
}

void divide_alpha(Picture& picture) {
  for (size_t i = 0; i < picture.samples.size(); i += static_cast<size_t>(picture.channels)) {
    uint8_t* pixel = &picture.samples[i];
    int64_t colours = picture.channels - 1;
    int alpha = pixel[colours];
    if (alpha == 0 || alpha == 255) continue;
    for (int64_t c = 0; c < colours; ++c) pixel[c] = static_cast<uint8_t>(std::min(255 * pixel[c] / alpha, 255));
  }
}

Picture to_picture(const Source& from, int64_t image) {
  Picture picture(from.height, from.width, from.channels);
  uint8_t* out = picture.samples.data();
  for (int64_t y = 0; y < from.height; ++y) {
    for (int64_t x = 0; x < from.width; ++x) {
      for (int64_t c = 0; c < from.channels; ++c) {
        float value = 255.0f * from.at(image, y)[x * from.column_step + c * from.channel_step];
        *out++ = value >= 255.0f ? 255 : value > 0.0f ? static_cast<uint8_t>(value) : 0;  // NaN is black
      }
    }
  }
  return picture;
}

void to_map(Picture& picture, const Map& to, int64_t image) {
  const MapShape& out = to.shape;
  const uint8_t* sample = picture.samples.data();
  for (int64_t y = 0; y < out.height; ++y) {
    for (int64_t x = 0; x < out.width; ++x) {
      float* pixel = to.data + image * out.image_step() + y * out.row_step() + x * out.column_step();
      for (int64_t c = 0; c < out.channels; ++c) pixel[c * out.channel_step()] = static_cast<float>(*sample++) / 255.0f;
    }
  }
}

}  // namespace

void lanczos(const Source& from, const Map& to) {
  if (from.channels > 4) {
    throw Error(Code::kInvalidArgument,
                fmt::format("lanczos works on pictures of 1 to 4 channels, this one has {}; for latents use bislerp, "
                            "bicubic, bilinear, area or nearest-exact",
                            from.channels));
  }
  for (int64_t image = 0; image < from.batch; ++image) {
    Picture picture = to_picture(from, image);
    bool is_same = from.width == to.shape.width && from.height == to.shape.height;
    if (!is_same && picture.has_alpha()) multiply_alpha(picture);
    if (from.width != to.shape.width) picture = resize_along_x(picture, to.shape.width);
    if (from.height != to.shape.height) picture = resize_along_y(picture, to.shape.height);
    if (!is_same && picture.has_alpha()) divide_alpha(picture);
    to_map(picture, to, image);
  }
}

}  // namespace hearth::resampling
