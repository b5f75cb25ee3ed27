#include "runtime/diffuse/sampling/latent_format.h"

#include <algorithm>

#include "core/base/check.h"

namespace hearth::diffuse {
namespace {

/// Calls `each(value, channel)` for every value.
template <class Each>
void over_channels(std::span<float> latent, const LatentShape& shape, size_t channels, Each&& each) {
  check(std::ssize(latent) == shape.numel(), "a latent has its shape's size");
  check(static_cast<int64_t>(channels) == shape.channels, "a mean and a deviation for every channel");
  const int64_t plane = shape.plane();
  for (int64_t i = 0; i < shape.numel(); ++i) {
    float& value = latent[static_cast<size_t>(i)];
    value = each(value, static_cast<size_t>(i / plane % shape.channels));
  }
}

}  // namespace

void LatentFormat::to_model(std::span<float> latent, const LatentShape& shape) const {
  if (mean.empty()) {
    for (float& value : latent) value *= scale;
    return;
  }
  over_channels(latent, shape, mean.size(), [&](float v, size_t c) { return (v - mean[c]) * scale / deviation[c]; });
}

void LatentFormat::to_vae(std::span<float> latent, const LatentShape& shape) const {
  if (mean.empty()) {
    for (float& value : latent) value /= scale;
    return;
  }
  over_channels(latent, shape, mean.size(), [&](float v, size_t c) { return v * deviation[c] / scale + mean[c]; });
}

LatentFormat playground_latents() {
  return {.scale = 0.5f,
          .mean = {-1.6574f, 1.886f, -1.383f, 2.5155f},
          .deviation = {8.4927f, 5.9022f, 6.5498f, 5.2299f}};
}

bool is_blank(std::span<const float> latent) {
  return std::all_of(latent.begin(), latent.end(), [](float v) { return v == 0; });
}

}  // namespace hearth::diffuse
