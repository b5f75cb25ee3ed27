// Tiles: a map too large to be worked on at once is taken in overlapping pieces whose seams are blended by linear
// ramps. Three passes with tiles of three proportions are averaged, so that no seam lies in all of them. The arithmetic
// of ComfyUI's tiled_scale, so that tiled pictures agree with it.
#pragma once
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace hearth::diffuse {

struct MapSize {
  int64_t channels = 0, height = 0, width = 0;
  int64_t numel() const { return channels * height * width; }
};

struct TilePlan {
  int64_t tile = 64, overlap = 16;  // of the input
  double scale = 8;                 // output pixels an input pixel, 8 or 1/8
  bool is_square_first = false;     // order in which the passes are summed: encoding begins with the square one
};

/// The work on one piece: [C,h,w] to [out_channels, h*scale, w*scale].
using TileWork = std::function<std::vector<float>(std::span<const float> piece, MapSize size)>;

/// How many pieces `size` falls into, over the three passes.
int64_t tile_count(MapSize size, const TilePlan& plan);

/// Works on one map [C,H,W] and fills `out` [out_channels, H*scale, W*scale].
void work_in_tiles(std::span<const float> map, MapSize size, const TilePlan& plan, int64_t out_channels,
                   const TileWork& work, std::span<float> out);

}  // namespace hearth::diffuse
