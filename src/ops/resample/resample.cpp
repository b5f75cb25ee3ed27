#include "ops/resample/resample.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/check.h"
#include "ops/resample/resample_kernels.h"

namespace hearth {
namespace {

struct Named {
  std::string_view name;
  Resampling method;
};
constexpr std::array<Named, 6> kNames{{{"nearest-exact", Resampling::kNearestExact},
                                       {"bilinear", Resampling::kBilinear},
                                       {"area", Resampling::kArea},
                                       {"bicubic", Resampling::kBicubic},
                                       {"lanczos", Resampling::kLanczos},
                                       {"bislerp", Resampling::kBislerp}}};

resampling::Source source_of(const ConstMap& from, const Window& window) {
  const MapShape& s = from.shape;
  check(window.x >= 0 && window.y >= 0 && window.width > 0 && window.height > 0 && window.x + window.width <= s.width &&
            window.y + window.height <= s.height,
        "a window lies inside its map");
  return {.data = from.data + window.y * s.row_step() + window.x * s.column_step(),
          .batch = s.batch,
          .height = window.height,
          .width = window.width,
          .channels = s.channels,
          .image_step = s.image_step(),
          .row_step = s.row_step(),
          .column_step = s.column_step(),
          .channel_step = s.channel_step()};
}

}  // namespace

std::optional<Resampling> resampling_of(std::string_view name) {
  for (const Named& known : kNames) {
    if (known.name == name) return known.method;
  }
  return std::nullopt;
}

std::string_view name(Resampling method) { return kNames[static_cast<size_t>(method)].name; }

Window centre_window(const MapShape& shape, int64_t width, int64_t height) {
  check(width > 0 && height > 0 && shape.width > 0 && shape.height > 0, "maps have pixels");
  double old_width = static_cast<double>(shape.width), old_height = static_cast<double>(shape.height);
  double old_aspect = old_width / old_height, aspect = static_cast<double>(width) / static_cast<double>(height);
  int64_t x = 0, y = 0;
  // nearbyint rounds halves to even, as Python's round().
  if (old_aspect > aspect) {
    x = static_cast<int64_t>(std::nearbyint((old_width - old_width * (aspect / old_aspect)) / 2));
  } else if (old_aspect < aspect) {
    y = static_cast<int64_t>(std::nearbyint((old_height - old_height * (old_aspect / aspect)) / 2));
  }
  // Proportions so extreme that nothing would be left keep one row or column.
  x = std::min(x, (shape.width - 1) / 2);
  y = std::min(y, (shape.height - 1) / 2);
  return {.x = x, .y = y, .width = shape.width - 2 * x, .height = shape.height - 2 * y};
}

void resample(const ConstMap& from, const Window& window, const Map& to, Resampling method) {
  check(from.shape.batch == to.shape.batch && from.shape.channels == to.shape.channels,
        "resampling keeps batch and channels");
  check(to.shape.width > 0 && to.shape.height > 0, "maps have pixels");
  resampling::Source source = source_of(from, window);
  auto by_taps = [&](resampling::Taps (*taps)(int64_t, int64_t)) {
    resampling::interpolate(source, to, taps(source.height, to.shape.height), taps(source.width, to.shape.width));
  };
  switch (method) {
    case Resampling::kNearestExact: return by_taps(resampling::nearest_exact_taps);
    case Resampling::kBilinear: return by_taps(resampling::bilinear_taps);
    case Resampling::kBicubic: return by_taps(resampling::bicubic_taps);
    case Resampling::kArea: return resampling::area(source, to);
    case Resampling::kLanczos: return resampling::lanczos(source, to);
    case Resampling::kBislerp: return resampling::bislerp(source, to);
  }
}

void resample(const ConstMap& from, const Map& to, Resampling method) {
  resample(from, {.width = from.shape.width, .height = from.shape.height}, to, method);
}

}  // namespace hearth
