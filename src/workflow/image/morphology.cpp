#include "workflow/image/morphology.h"

#include <deque>

#include <fmt/format.h>

namespace hearth::workflow {
namespace {

/// Values at equal distances, such as one channel of a row or column.
struct Line {
  const float* from;
  float* to;
  int64_t length, stride;
};

/// The extreme of the `side` values around each. Of an even side the longer half lies before for the smallest and
/// behind for the largest, so that opening and closing do not move a shape. The deque holds the places of values that
/// may still be the extreme of a window, best first, so each value enters and leaves once.
void slide(const Line& line, int64_t side, bool is_max) {
  auto value = [&](int64_t i) { return line.from[i * line.stride]; };
  auto beats = [&](float a, float b) { return is_max ? a >= b : a <= b; };
  const int64_t half = side / 2, before = is_max ? side - half - 1 : half, after = side - before - 1;
  std::deque<int64_t> best;
  for (int64_t i = 0, next = 0; i < line.length; ++i) {
    for (; next <= std::min(i + after, line.length - 1); ++next) {
      while (!best.empty() && beats(value(next), value(best.back()))) best.pop_back();
      best.push_back(next);
    }
    while (best.front() < i - before) best.pop_front();
    line.to[i * line.stride] = value(best.front());
  }
}

Tensor extreme(Allocator& memory, const Tensor& image, int64_t side, bool is_max) {
  const int64_t batch = image.dim(0), height = image.dim(1), width = image.dim(2), channels = image.dim(3);
  Tensor rows = make_tensor(memory, image.shape()), out = make_tensor(memory, image.shape());
  const int64_t row = width * channels;
  for (int64_t y = 0; y < batch * height; ++y)
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t at = y * row + c;
      slide({image.data<const float>() + at, rows.data<float>() + at, width, channels}, side, is_max);
    }
  for (int64_t b = 0; b < batch; ++b)
    for (int64_t x = 0; x < row; ++x) {
      const int64_t at = b * height * row + x;
      slide({rows.data<float>() + at, out.data<float>() + at, height, row}, side, is_max);
    }
  return out;
}

Tensor difference(Allocator& memory, const Tensor& a, const Tensor& b) {
  Tensor out = make_tensor(memory, a.shape());
  for (int64_t i = 0; i < out.numel(); ++i) out.data<float>()[i] = a.data<const float>()[i] - b.data<const float>()[i];
  return out;
}

}  // namespace

Tensor morphed(Allocator& memory, const Tensor& image, std::string_view operation, int64_t side) {
  auto dilated = [&](const Tensor& t) { return extreme(memory, t, side, true); };
  auto eroded = [&](const Tensor& t) { return extreme(memory, t, side, false); };
  if (operation == "erode") return eroded(image);
  if (operation == "dilate") return dilated(image);
  if (operation == "open") return dilated(eroded(image));
  if (operation == "close") return eroded(dilated(image));
  if (operation == "gradient") return difference(memory, dilated(image), eroded(image));
  if (operation == "top_hat") return difference(memory, image, dilated(eroded(image)));
  if (operation == "bottom_hat") return difference(memory, eroded(dilated(image)), image);
  throw Error(Code::kInvalidArgument, fmt::format("no morphology is called '{}'", operation));
}

}  // namespace hearth::workflow
