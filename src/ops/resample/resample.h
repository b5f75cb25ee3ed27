// Resizing of f32 maps in host memory (images, masks, latents between nodes) as torch.nn.functional.interpolate does it
// without antialiasing and with align_corners false, and as ComfyUI adds to it: Lanczos through 8-bit pictures, and
// bislerp, which interpolates length and direction of a pixel's vector apart. Pure; the caller owns both maps, which
// must not overlap. Wrong sizes are a bug of the caller, except where it says Error.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

namespace hearth {

enum class MapOrder { kNhwc, kNchw };

struct MapShape {
  int64_t batch = 1, height = 0, width = 0, channels = 1;
  MapOrder order = MapOrder::kNhwc;

  int64_t elements() const { return batch * height * width * channels; }
  /// Distances in elements.
  int64_t image_step() const { return height * width * channels; }
  int64_t row_step() const { return order == MapOrder::kNhwc ? width * channels : width; }
  int64_t column_step() const { return order == MapOrder::kNhwc ? channels : 1; }
  int64_t channel_step() const { return order == MapOrder::kNhwc ? 1 : height * width; }
};

/// Contiguous elements and their shape, borrowed for the call.
struct ConstMap {
  const float* data = nullptr;
  MapShape shape;
};
struct Map {
  float* data = nullptr;
  MapShape shape;
};

enum class Resampling { kNearestExact, kBilinear, kArea, kBicubic, kLanczos, kBislerp };

/// "nearest-exact", "bilinear", "area", "bicubic", "lanczos", "bislerp"; nothing for another name.
std::optional<Resampling> resampling_of(std::string_view name);
std::string_view name(Resampling method);

/// A rectangle of a map, in pixels.
struct Window {
  int64_t x = 0, y = 0, width = 0, height = 0;
};

/// The largest centred part of a map that has the proportions of width x height, rounded as ComfyUI rounds.
Window centre_window(const MapShape& shape, int64_t width, int64_t height);

/// Fills `to` with `window` of `from`. Batch and channels must be equal, the orders may differ. Throws
/// Error{kInvalidArgument} for Lanczos of more than four channels, which no 8-bit picture has.
void resample(const ConstMap& from, const Window& window, const Map& to, Resampling method);
/// The whole of `from`.
void resample(const ConstMap& from, const Map& to, Resampling method);

}  // namespace hearth
