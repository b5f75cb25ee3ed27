#include "workflow/image/masks.h"

#include <algorithm>
#include <cmath>

namespace hearth::workflow {
namespace {

// Half to even, as torch rounds.
float rounded(float value) { return std::nearbyint(value); }

float combined(float a, float b, std::string_view operation) {
  if (operation == "multiply") return a * b;
  if (operation == "add") return a + b;
  if (operation == "subtract") return a - b;
  bool x = rounded(a) != 0, y = rounded(b) != 0;
  if (operation == "and") return x && y;
  return operation == "or" ? x || y : x != y;
}

// The extreme of a pixel and its neighbours; borders are mirrored with the edge repeated, so they add nothing new.
void grow_once(const float* from, float* to, int64_t height, int64_t width, bool is_dilation, bool is_tapered) {
  for (int64_t y = 0; y < height; ++y) {
    for (int64_t x = 0; x < width; ++x) {
      float best = from[y * width + x];
      for (int64_t dy = -1; dy <= 1; ++dy) {
        for (int64_t dx = -1; dx <= 1; ++dx) {
          if (is_tapered && dy != 0 && dx != 0) continue;
          int64_t sy = std::clamp<int64_t>(y + dy, 0, height - 1), sx = std::clamp<int64_t>(x + dx, 0, width - 1);
          float other = from[sy * width + sx];
          best = is_dilation ? std::max(best, other) : std::min(best, other);
        }
      }
      to[y * width + x] = best;
    }
  }
}

}  // namespace

Tensor color_mask(Allocator& memory, const Tensor& image, int64_t color) {
  Tensor mask = make_tensor(memory, {image.dim(0), image.dim(1), image.dim(2)});
  int64_t channels = image.dim(3);
  const float* in = image.data<const float>();
  for (int64_t i = 0; i < mask.numel(); ++i) {
    int64_t pixel = 0;
    for (int64_t c = 0; c < 3; ++c) {
      float value = in[i * channels + std::min(c, channels - 1)];
      pixel = pixel << 8 | static_cast<int64_t>(rounded(std::clamp(value, 0.0f, 1.0f) * 255.0f));
    }
    mask.data<float>()[i] = pixel == color ? 1.0f : 0.0f;
  }
  return mask;
}

Tensor composite_masks(Allocator& memory, const Tensor& destination, const Tensor& source, int64_t x, int64_t y,
                       std::string_view operation) {
  Tensor out = copied(memory, destination);
  int64_t height = out.dim(1), width = out.dim(2);
  int64_t rows = std::min(source.dim(1), height - y), columns = std::min(source.dim(2), width - x);
  for (int64_t b = 0; b < out.dim(0); ++b) {
    const float* from = source.data<const float>() + b % source.dim(0) * source.dim(1) * source.dim(2);
    float* to = out.data<float>() + b * height * width;
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t column = 0; column < columns; ++column) {
        float& value = to[(y + row) * width + x + column];
        value = combined(value, from[row * source.dim(2) + column], operation);
      }
    }
  }
  float* all = out.data<float>();
  std::transform(all, all + out.numel(), all, [](float value) { return std::clamp(value, 0.0f, 1.0f); });
  return out;
}

Tensor feathered(Allocator& memory, const Tensor& mask, Edges edges) {
  Tensor out = copied(memory, mask);
  int64_t height = out.dim(1), width = out.dim(2), images = out.dim(0);
  auto fade_column = [&](int64_t x, float rate) {
    for (int64_t row = 0; row < images * height; ++row) out.data<float>()[row * width + x] *= rate;
  };
  auto fade_row = [&](int64_t y, float rate) {
    for (int64_t b = 0; b < images; ++b) {
      float* row = out.data<float>() + (b * height + y) * width;
      for (int64_t x = 0; x < width; ++x) row[x] *= rate;
    }
  };
  auto rate = [](int64_t i, int64_t length) { return static_cast<float>((static_cast<double>(i) + 1.0) / length); };
  int64_t left = std::min(edges.left, width), right = std::min(edges.right, width);
  int64_t top = std::min(edges.top, height), bottom = std::min(edges.bottom, height);
  // The right and bottom fades start one pixel further on, at index -0: the first column and row take their first step.
  for (int64_t x = 0; x < left; ++x) fade_column(x, rate(x, left));
  for (int64_t x = 0; x < right; ++x) fade_column(x == 0 ? 0 : width - x, rate(x, right));
  for (int64_t y = 0; y < top; ++y) fade_row(y, rate(y, top));
  for (int64_t y = 0; y < bottom; ++y) fade_row(y == 0 ? 0 : height - y, rate(y, bottom));
  return out;
}

Tensor grown(Allocator& memory, const Tensor& mask, int64_t expand, bool is_tapered) {
  Tensor now = copied(memory, mask);
  int64_t height = mask.dim(1), width = mask.dim(2);
  // Beyond both sides together nothing changes any more.
  int64_t rounds = std::min<int64_t>(expand < 0 ? -expand : expand, height + width);
  if (rounds == 0) return now;
  Tensor next = make_tensor(memory, mask.shape());
  for (int64_t i = 0; i < rounds; ++i) {
    for (int64_t b = 0; b < mask.dim(0); ++b) {
      int64_t start = b * height * width;
      grow_once(now.data<float>() + start, next.data<float>() + start, height, width, expand > 0, is_tapered);
    }
    std::swap(now, next);
  }
  return now;
}

Tensor outpaint_mask(Allocator& memory, int64_t height, int64_t width, Edges edges, int64_t feathering) {
  int64_t full_width = width + edges.left + edges.right;
  Tensor mask = filled(memory, {1, height + edges.top + edges.bottom, full_width}, 1.0f);
  bool is_faded = feathering > 0 && feathering * 2 < height && feathering * 2 < width;
  for (int64_t y = 0; y < height; ++y) {
    float* row = mask.data<float>() + (edges.top + y) * full_width + edges.left;
    for (int64_t x = 0; x < width; ++x) {
      int64_t vertical = std::min(edges.top ? y : height, edges.bottom ? height - y : height);
      int64_t horizontal = std::min(edges.left ? x : width, edges.right ? width - x : width);
      int64_t distance = std::min(vertical, horizontal);
      double fade = is_faded && distance < feathering ? static_cast<double>(feathering - distance) / feathering : 0;
      row[x] = static_cast<float>(fade * fade);
    }
  }
  return mask;
}

}  // namespace hearth::workflow
