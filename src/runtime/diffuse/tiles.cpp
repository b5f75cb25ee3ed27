#include "runtime/diffuse/tiles.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/base/check.h"
#include "core/base/units.h"

namespace hearth::diffuse {
namespace {

struct TileSize {
  int64_t height, width;
};

// Tall, wide, square.
std::array<TileSize, 3> passes(const TilePlan& plan) {
  const TileSize tall{plan.tile * 2, plan.tile / 2}, wide{plan.tile / 2, plan.tile * 2}, square{plan.tile, plan.tile};
  if (plan.is_square_first) return {square, wide, tall};
  return {tall, wide, square};
}

// Where pieces begin along one axis.
std::vector<int64_t> starts(int64_t length, int64_t tile, int64_t overlap) {
  std::vector<int64_t> out;
  if (length <= tile) return {0};
  for (int64_t at = 0; at < length - overlap; at += tile - overlap) out.push_back(std::max<int64_t>(at, 0));
  return out;
}

int64_t scaled(int64_t n, double scale) { return static_cast<int64_t>(std::nearbyint(scale * static_cast<double>(n))); }

// How much a piece counts at each place along one axis: ramps of `feather` places at both ends.
std::vector<float> ramp(int64_t length, int64_t feather) {
  std::vector<float> weights(static_cast<size_t>(length), 1.0f);
  if (feather >= length) return weights;
  for (int64_t t = 0; t < feather; ++t) {
    const float a = static_cast<float>(static_cast<double>(t + 1) / static_cast<double>(feather));
    weights[static_cast<size_t>(t)] *= a;
    weights[static_cast<size_t>(length - 1 - t)] *= a;
  }
  return weights;
}

std::vector<float> cut_out(std::span<const float> map, MapSize size, int64_t top, int64_t left, MapSize piece) {
  std::vector<float> out(static_cast<size_t>(piece.numel()));
  float* to = out.data();
  for (int64_t c = 0; c < piece.channels; ++c) {
    for (int64_t y = 0; y < piece.height; ++y, to += piece.width) {
      std::copy_n(map.data() + (c * size.height + top + y) * size.width + left, piece.width, to);
    }
  }
  return out;
}

// The sum of weighted pieces and of their weights.
struct Blend {
  Blend(MapSize output) : size(output), sum(output.numel()), weight(output.height * output.width) {}

  void add(std::span<const float> piece, MapSize p, int64_t top, int64_t left, int64_t feather) {
    const std::vector<float> down = ramp(p.height, feather), across = ramp(p.width, feather);
    check(top + p.height <= size.height && left + p.width <= size.width, "a piece lies inside the map");
    for (int64_t y = 0; y < p.height; ++y) {
      for (int64_t x = 0; x < p.width; ++x) {
        const float w = down[static_cast<size_t>(y)] * across[static_cast<size_t>(x)];
        weight[static_cast<size_t>((top + y) * size.width + left + x)] += w;
        for (int64_t c = 0; c < p.channels; ++c) {
          sum[static_cast<size_t>((c * size.height + top + y) * size.width + left + x)] +=
              piece[static_cast<size_t>((c * p.height + y) * p.width + x)] * w;
        }
      }
    }
  }

  MapSize size;
  std::vector<float> sum, weight;
};

void add_pass(std::span<const float> map, MapSize size, TileSize tile, const TilePlan& plan, MapSize output,
              const TileWork& work, std::span<float> out) {
  if (size.height <= tile.height && size.width <= tile.width) {
    const std::vector<float> whole = work(map, size);
    for (size_t i = 0; i < out.size(); ++i) out[i] += whole[i];
    return;
  }
  Blend blend(output);
  for (int64_t y : starts(size.height, tile.height, plan.overlap)) {
    for (int64_t x : starts(size.width, tile.width, plan.overlap)) {
      const int64_t top = std::max<int64_t>(0, std::min(size.height - plan.overlap, y));
      const int64_t left = std::max<int64_t>(0, std::min(size.width - plan.overlap, x));
      const MapSize piece{size.channels, std::min(tile.height, size.height - top),
                          std::min(tile.width, size.width - left)};
      const std::vector<float> done = work(cut_out(map, size, top, left, piece), piece);
      const MapSize made{output.channels, scaled(piece.height, plan.scale), scaled(piece.width, plan.scale)};
      check(std::ssize(done) == made.numel(), "a piece comes back at the scale of the plan");
      blend.add(done, made, scaled(top, plan.scale), scaled(left, plan.scale), scaled(plan.overlap, plan.scale));
    }
  }
  const int64_t plane = output.height * output.width;
  for (size_t i = 0; i < out.size(); ++i) out[i] += blend.sum[i] / blend.weight[i % static_cast<size_t>(plane)];
}

}  // namespace

int64_t tile_count(MapSize size, const TilePlan& plan) {
  int64_t count = 0;
  for (TileSize tile : passes(plan)) {
    count += std::ssize(starts(size.height, tile.height, plan.overlap)) *
             std::ssize(starts(size.width, tile.width, plan.overlap));
  }
  return count;
}

void work_in_tiles(std::span<const float> map, MapSize size, const TilePlan& plan, int64_t out_channels,
                   const TileWork& work, std::span<float> out) {
  check(plan.tile / 2 > plan.overlap && plan.overlap >= 0, "tiles are more than twice as large as their overlap");
  const MapSize output{out_channels, scaled(size.height, plan.scale), scaled(size.width, plan.scale)};
  check(std::ssize(out) == output.numel(), "room for the output");
  std::fill(out.begin(), out.end(), 0.0f);
  for (TileSize tile : passes(plan)) add_pass(map, size, tile, plan, output, work, out);
  for (float& value : out) value /= 3.0f;
}

}  // namespace hearth::diffuse
