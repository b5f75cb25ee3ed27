#include "workflow/image/composite.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace hearth::workflow {
namespace {

float soft_light(float a, float b) {
  if (b <= 0.5f) return a - (1 - 2 * b) * a * (1 - a);
  float curve = a <= 0.25f ? ((16 * a - 12) * a + 4) * a : std::sqrt(a);
  return a + (2 * b - 1) * (curve - a);
}

float blend_one(float a, float b, std::string_view mode) {
  if (mode == "normal") return b;
  if (mode == "multiply") return a * b;
  if (mode == "screen") return 1 - (1 - a) * (1 - b);
  if (mode == "overlay") return a <= 0.5f ? 2 * a * b : 1 - 2 * (1 - a) * (1 - b);
  if (mode == "soft_light") return soft_light(a, b);
  if (mode == "difference") return a - b;
  throw Error(Code::kInvalidArgument, fmt::format("no blend mode '{}'", mode));
}

// A premultiplied colour with its alpha.
struct Ink {
  float color, alpha;
};

Ink compose(Ink s, Ink d, std::string_view mode) {
  float both = s.alpha + d.alpha - s.alpha * d.alpha;
  float behind = (1 - d.alpha) * s.color, beside = (1 - s.alpha) * d.color;
  if (mode == "ADD") return {std::clamp(s.color + d.color, 0.0f, 1.0f), std::clamp(s.alpha + d.alpha, 0.0f, 1.0f)};
  if (mode == "CLEAR") return {0, 0};
  if (mode == "DARKEN") return {behind + beside + std::min(s.color, d.color), both};
  if (mode == "DST") return d;
  if (mode == "DST_ATOP") return {s.alpha * d.color + behind, s.alpha};
  if (mode == "DST_IN") return {d.color * s.alpha, s.alpha * d.alpha};
  if (mode == "DST_OUT") return {beside, (1 - s.alpha) * d.alpha};
  if (mode == "DST_OVER") return {d.color + behind, d.alpha + (1 - d.alpha) * s.alpha};
  if (mode == "LIGHTEN") return {behind + beside + std::max(s.color, d.color), both};
  if (mode == "MULTIPLY") return {s.color * d.color, s.alpha * d.alpha};
  if (mode == "OVERLAY") {
    float color = 2 * d.color < d.alpha ? 2 * s.color * d.color
                                        : s.alpha * d.alpha - 2 * (d.alpha - s.color) * (s.alpha - d.color);
    return {color, both};
  }
  if (mode == "SCREEN") return {s.color + d.color - s.color * d.color, both};
  if (mode == "SRC") return s;
  if (mode == "SRC_ATOP") return {d.alpha * s.color + beside, d.alpha};
  if (mode == "SRC_IN") return {s.color * d.alpha, s.alpha * d.alpha};
  if (mode == "SRC_OUT") return {behind, (1 - d.alpha) * s.alpha};
  if (mode == "SRC_OVER") return {s.color + beside, s.alpha + (1 - s.alpha) * d.alpha};
  if (mode == "XOR") return {behind + beside, (1 - d.alpha) * s.alpha + (1 - s.alpha) * d.alpha};
  throw Error(Code::kInvalidArgument, fmt::format("no Porter-Duff mode '{}'", mode));
}

Tensor opaque(Allocator& memory, const Tensor& image) {
  Shape alpha = image.shape();
  alpha[3] = 1;
  return joined(memory, {image, filled(memory, alpha, 1.0f)}, 3);
}

int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

}  // namespace

std::pair<Tensor, Tensor> with_equal_channels(Allocator& memory, const Tensor& a, const Tensor& b) {
  if (a.dim(3) + 1 == b.dim(3)) return {opaque(memory, a), b};
  if (b.dim(3) + 1 == a.dim(3)) return {a, opaque(memory, b)};
  return {a, b};
}

Tensor with_channels_of(Allocator& memory, const Tensor& destination, const Tensor& source) {
  if (source.dim(3) > destination.dim(3)) return sliced(memory, source, 3, 0, destination.dim(3));
  return source.dim(3) + 1 == destination.dim(3) ? opaque(memory, source) : source;
}

Tensor blended(Allocator& memory, const Tensor& a, const Tensor& b, double factor, std::string_view mode) {
  Tensor out = make_tensor(memory, a.shape());
  const float keep = static_cast<float>(1 - factor), take = static_cast<float>(factor);
  const float *x = a.data<const float>(), *y = b.data<const float>();
  int64_t b_elements = b.numel();
  for (int64_t i = 0; i < out.numel(); ++i) {
    float mixed = x[i] * keep + blend_one(x[i], y[i % b_elements], mode) * take;
    out.data<float>()[i] = std::clamp(mixed, 0.0f, 1.0f);
  }
  return out;
}

Tensor pasted(Allocator& memory, const Tensor& destination, const Tensor& given, const Tensor& mask,
              const Paste& paste) {
  Tensor out = copied(memory, destination);
  MapShape to = map_shape(out, paste.order);
  Tensor source = given;
  if (paste.is_source_resized) source = resized(memory, source, paste.order, {.width = to.width, .height = to.height});
  MapShape from = map_shape(source, paste.order);
  if (from.channels != to.channels) {
    throw Error(Code::kInvalidArgument,
                fmt::format("source has {} channels, destination {}", from.channels, to.channels));
  }
  int64_t x = std::clamp(paste.x, -from.width * paste.unit, to.width * paste.unit);
  int64_t y = std::clamp(paste.y, -from.height * paste.unit, to.height * paste.unit);
  int64_t left = floor_div(x, paste.unit), top = floor_div(y, paste.unit);
  Tensor weights;
  if (mask) weights = resized(memory, as_mask(mask), MapOrder::kNhwc, {.width = from.width, .height = from.height});
  int64_t columns = std::min(from.width, to.width - left), rows = std::min(from.height, to.height - top);
  for (int64_t b = 0; b < to.batch; ++b) {
    const float* in = source.data<const float>() + b % from.batch * from.image_step();
    float* into = out.data<float>() + b * to.image_step();
    const float* weight =
        weights ? weights.data<const float>() + b % weights.dim(0) * from.height * from.width : nullptr;
    for (int64_t r = std::max<int64_t>(0, -top); r < rows; ++r) {
      for (int64_t c = std::max<int64_t>(0, -left); c < columns; ++c) {
        float w = weight ? weight[r * from.width + c] : 1.0f;
        for (int64_t k = 0; k < to.channels; ++k) {
          float value = in[r * from.row_step() + c * from.column_step() + k * from.channel_step()];
          float& target = into[(top + r) * to.row_step() + (left + c) * to.column_step() + k * to.channel_step()];
          target = w * value + (1.0f - w) * target;
        }
      }
    }
  }
  return out;
}

const std::vector<std::string>& porter_duff_modes() {
  static const std::vector<std::string> kModes = {"ADD",     "CLEAR",    "DARKEN",  "DST",      "DST_ATOP", "DST_IN",
                                                  "DST_OUT", "DST_OVER", "LIGHTEN", "MULTIPLY", "OVERLAY",  "SCREEN",
                                                  "SRC",     "SRC_ATOP", "SRC_IN",  "SRC_OUT",  "SRC_OVER", "XOR"};
  return kModes;
}

MaskedImage porter_duff(Allocator& memory, const MaskedImage& source, const MaskedImage& destination,
                        std::string_view mode) {
  int64_t channels = source.image.dim(3), pixels = source.image.numel() / channels;
  MaskedImage out{make_tensor(memory, source.image.shape()), make_tensor(memory, source.mask.shape())};
  const float *s = source.image.data<const float>(), *d = destination.image.data<const float>();
  const float *s_mask = source.mask.data<const float>(), *d_mask = destination.mask.data<const float>();
  for (int64_t i = 0; i < pixels; ++i) {
    float s_alpha = 1 - s_mask[i], d_alpha = 1 - d_mask[i], alpha = 0;
    for (int64_t c = 0; c < channels; ++c) {
      int64_t at = i * channels + c;
      Ink ink = compose({s[at] * s_alpha, s_alpha}, {d[at] * d_alpha, d_alpha}, mode);
      alpha = ink.alpha;
      float color = alpha > 1e-5f ? ink.color / alpha : 0.0f;
      out.image.data<float>()[at] = std::clamp(color, 0.0f, 1.0f);
    }
    out.mask.data<float>()[i] = 1 - alpha;
  }
  return out;
}

}  // namespace hearth::workflow
