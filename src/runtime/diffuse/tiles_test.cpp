// Work that looks at single places gives the same map in tiles as at once, whatever the sizes; seams of work that does
// not are blended, and every piece stays within its size.
#include "runtime/diffuse/tiles.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace hearth::diffuse {
namespace {

std::vector<float> random_map(MapSize size, uint32_t seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> value(-1, 1);
  std::vector<float> map(static_cast<size_t>(size.numel()));
  for (float& v : map) v = value(random);
  return map;
}

// Each input pixel as a square of `n` x `n`, its first channel negated behind the others.
std::vector<float> enlarge(std::span<const float> piece, MapSize size, int64_t n) {
  const int64_t h = size.height * n, w = size.width * n;
  std::vector<float> out(static_cast<size_t>((size.channels + 1) * h * w));
  for (int64_t c = 0; c <= size.channels; ++c) {
    for (int64_t i = 0; i < h * w; ++i) {
      const int64_t from = (i / w / n) * size.width + i % w / n;
      const float v = piece[static_cast<size_t>((c % size.channels) * size.height * size.width + from)];
      out[static_cast<size_t>(c * h * w + i)] = c == size.channels ? -v : v;
    }
  }
  return out;
}

TEST(Tiles, WorkOnSinglePlacesIsTheSameInTiles) {
  const TilePlan plan{.tile = 16, .overlap = 4, .scale = 4};
  for (MapSize size :
       {MapSize{2, 8, 8}, MapSize{1, 16, 16}, MapSize{2, 17, 40}, MapSize{1, 41, 23}, MapSize{1, 5, 90}}) {
    const std::vector<float> map = random_map(size, 7);
    std::vector<float> out(static_cast<size_t>((size.channels + 1) * size.height * size.width * 16));
    int64_t pieces = 0;
    work_in_tiles(map, size, plan, size.channels + 1, [&](std::span<const float> piece, MapSize s) {
      ++pieces;
      EXPECT_LE(s.height * s.width, 16 * 16);
      return enlarge(piece, s, 4);
    }, out);
    const std::vector<float> whole = enlarge(map, size, 4);
    for (size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], whole[i], 1e-6) << size.height << "x" << size.width;
    EXPECT_EQ(pieces, tile_count(size, plan));
  }
}

TEST(Tiles, SmallerToo) {
  const TilePlan plan{.tile = 64, .overlap = 8, .scale = 0.125, .is_square_first = true};
  const MapSize size{3, 136, 200};
  const std::vector<float> map = random_map(size, 8);
  std::vector<float> out(17 * 25);
  work_in_tiles(map, size, plan, 1, [&](std::span<const float> piece, MapSize s) {
    std::vector<float> first(static_cast<size_t>(s.height / 8 * s.width / 8));
    for (size_t i = 0; i < first.size(); ++i) {
      const size_t w = static_cast<size_t>(s.width / 8);
      first[i] = piece[i / w * 8 * static_cast<size_t>(s.width) + i % w * 8];
    }
    return first;
  }, out);
  for (size_t i = 0; i < out.size(); ++i) ASSERT_NEAR(out[i], map[i / 25 * 8 * 200 + i % 25 * 8], 1e-6);
}

TEST(Tiles, SeamsAreBlended) {
  // Every piece has a value of its own: between neighbours the map changes by little at a time.
  const TilePlan plan{.tile = 32, .overlap = 8, .scale = 1};
  const MapSize size{1, 64, 64};
  const std::vector<float> map(64 * 64, 0.0f);
  std::vector<float> out(64 * 64);
  int next = 0;
  work_in_tiles(map, size, plan, 1, [&](std::span<const float>, MapSize s) {
    return std::vector<float>(static_cast<size_t>(s.numel()), next++ % 2 ? 1.0f : 0.0f);
  }, out);
  float steepest = 0;
  for (size_t i = 1; i < out.size(); ++i) {
    if (i % 64) steepest = std::max(steepest, std::abs(out[i] - out[i - 1]));
  }
  EXPECT_GT(steepest, 0.01f);
  EXPECT_LT(steepest, 0.25f);
}

}  // namespace
}  // namespace hearth::diffuse
