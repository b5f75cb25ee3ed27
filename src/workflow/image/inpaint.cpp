#include "workflow/image/inpaint.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace hearth::workflow {
namespace {

// The middle part whose sides are multiples of 8; dimensions 1 and 2 are height and width.
Tensor cut_to_eights(Allocator& memory, const Tensor& from) {
  Tensor out = from;
  for (int dim : {1, 2}) {
    int64_t side = from.dim(dim);
    if (side < 8) throw Error(Code::kInvalidArgument, fmt::format("{} is smaller than 8 pixels", from.shape().text()));
    if (side % 8 != 0) out = sliced(memory, out, dim, side % 8 / 2, side / 8 * 8);
  }
  return out;
}

}  // namespace

Inpaint prepare_inpaint(Allocator& memory, const Tensor& pixels, const Tensor& mask) {
  Tensor sized = resized(memory, mask, MapOrder::kNhwc, {.width = pixels.dim(2), .height = pixels.dim(1)});
  Inpaint made;
  made.mask = cut_to_eights(memory, sized);
  made.original = cut_to_eights(memory, pixels.dim(3) > 3 ? sliced(memory, pixels, 3, 0, 3) : pixels);
  made.pixels = copied(memory, made.original);
  int64_t plane = made.mask.dim(1) * made.mask.dim(2), masks = made.mask.dim(0), channels = made.pixels.dim(3);
  for (int64_t i = 0; i < made.pixels.numel() / channels; ++i) {
    float hole = made.mask.data<float>()[i / plane % masks * plane + i % plane];
    float keep = 1.0f - std::nearbyint(hole);
    for (int64_t c = 0; c < channels; ++c) {
      float& value = made.pixels.data<float>()[i * channels + c];
      value = (value - 0.5f) * keep + 0.5f;
    }
  }
  return made;
}

Tensor grown_for_latents(Allocator& memory, const Tensor& mask, int64_t grow) {
  Tensor out = mapped(memory, mask, [](float v) { return std::nearbyint(v); });
  if (grow == 0) return out;
  int64_t height = mask.dim(1), width = mask.dim(2), before = grow / 2, after = grow - 1 - before;
  // A square of ones: first along the rows, then along the columns.
  Tensor wide = copied(memory, out);
  for (int64_t row = 0; row < mask.dim(0) * height; ++row) {
    const float* from = out.data<float>() + row * width;
    for (int64_t x = 0; x < width; ++x) {
      int64_t first = std::max<int64_t>(0, x - before), last = std::min(width - 1, x + after);
      wide.data<float>()[row * width + x] = *std::max_element(from + first, from + last + 1);
    }
  }
  for (int64_t i = 0; i < mask.numel(); ++i) {
    int64_t image = i / (height * width), y = i / width % height, x = i % width;
    float best = 0;
    for (int64_t sy = std::max<int64_t>(0, y - before); sy <= std::min(height - 1, y + after); ++sy) {
      best = std::max(best, wide.data<float>()[(image * height + sy) * width + x]);
    }
    out.data<float>()[i] = best;
  }
  return out;
}

}  // namespace hearth::workflow
