#include "workflow/image/quantize.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>

#include <fmt/format.h>

namespace hearth::workflow {
namespace {

using Colour = std::array<int, 3>;

struct Counted {
  Colour colour;
  int64_t count;
};

/// Some of the colours, as a range of a list.
struct Box {
  size_t begin, end;
  int widest = 0, spread = 0;  // the channel with the largest spread
  int64_t pixels = 0;
};

Box measured(const std::vector<Counted>& colours, size_t begin, size_t end) {
  Box box{begin, end};
  for (size_t c = 0; c < 3; ++c) {
    int low = 255, high = 0;
    for (size_t i = begin; i < end; ++i) {
      low = std::min(low, colours[i].colour[c]);
      high = std::max(high, colours[i].colour[c]);
    }
    if (high - low > box.spread) box.spread = high - low, box.widest = static_cast<int>(c);
  }
  for (size_t i = begin; i < end; ++i) box.pixels += colours[i].count;
  return box;
}

/// Halves the box with most pixels times spread along its widest channel until there are enough.
std::vector<Box> median_cut(std::vector<Counted>& colours, size_t wanted) {
  std::vector<Box> boxes{measured(colours, 0, colours.size())};
  auto weight = [](const Box& box) { return box.pixels * box.spread; };
  while (boxes.size() < wanted) {
    auto largest =
        std::max_element(boxes.begin(), boxes.end(), [&](const Box& a, const Box& b) { return weight(a) < weight(b); });
    if (largest->spread == 0) break;  // one colour each
    const auto channel = static_cast<size_t>(largest->widest);
    std::sort(colours.begin() + static_cast<int64_t>(largest->begin),
              colours.begin() + static_cast<int64_t>(largest->end),
              [&](const Counted& a, const Counted& b) { return a.colour[channel] < b.colour[channel]; });
    size_t cut = largest->begin;
    for (int64_t seen = 0; cut < largest->end - 1 && seen < (largest->pixels + 1) / 2; ++cut)
      seen += colours[cut].count;
    const Box second = measured(colours, cut, largest->end);
    *largest = measured(colours, largest->begin, cut);
    boxes.push_back(second);
  }
  return boxes;
}

Colour mean_of(const std::vector<Counted>& colours, const Box& box) {
  std::array<int64_t, 3> sum{};
  for (size_t i = box.begin; i < box.end; ++i)
    for (size_t c = 0; c < 3; ++c) sum[c] += colours[i].colour[c] * colours[i].count;
  Colour mean{};
  for (size_t c = 0; c < 3; ++c) mean[c] = static_cast<int>((sum[c] + box.pixels / 2) / box.pixels);
  return mean;
}

class Palette {
 public:
  Palette(const std::vector<Colour>& pixels, size_t wanted) {
    std::map<Colour, int64_t> counts;
    for (const Colour& pixel : pixels) ++counts[pixel];
    std::vector<Counted> colours;
    for (const auto& [colour, count] : counts) colours.push_back({colour, count});
    for (const Box& box : median_cut(colours, wanted)) colours_.push_back(mean_of(colours, box));
  }
  size_t size() const { return colours_.size(); }

  const Colour& nearest(const Colour& wanted) {
    auto [known, is_new] = nearest_.try_emplace(wanted, 0);
    if (!is_new) return colours_[known->second];
    auto distance = [&](const Colour& other) {
      int sum = 0;
      for (size_t c = 0; c < 3; ++c) sum += (wanted[c] - other[c]) * (wanted[c] - other[c]);
      return sum;
    };
    auto best = std::min_element(colours_.begin(), colours_.end(),
                                 [&](const Colour& a, const Colour& b) { return distance(a) < distance(b); });
    known->second = static_cast<size_t>(best - colours_.begin());
    return *best;
  }

 private:
  std::vector<Colour> colours_;
  std::map<Colour, size_t> nearest_;  // of colours asked for before
};

struct Bitmap {
  int64_t height, width;
  std::vector<Colour> pixels;
};

/// Hands what a pixel's colour is off by to its neighbours right and below (Floyd and Steinberg 1976).
void diffuse_errors(Bitmap& map, Palette& palette) {
  std::vector<std::array<float, 3>> carried(map.pixels.size());
  auto carry = [&](int64_t y, int64_t x, size_t c, float part) {
    if (x >= 0 && x < map.width && y < map.height) carried[static_cast<size_t>(y * map.width + x)][c] += part / 16;
  };
  for (int64_t y = 0; y < map.height; ++y)
    for (int64_t x = 0; x < map.width; ++x) {
      const auto at = static_cast<size_t>(y * map.width + x);
      Colour wanted{};
      for (size_t c = 0; c < 3; ++c)
        wanted[c] =
            std::clamp(static_cast<int>(std::lround(static_cast<float>(map.pixels[at][c]) + carried[at][c])), 0, 255);
      map.pixels[at] = palette.nearest(wanted);
      for (size_t c = 0; c < 3; ++c) {
        const auto off = static_cast<float>(wanted[c] - map.pixels[at][c]);
        carry(y, x + 1, c, 7 * off), carry(y + 1, x - 1, c, 3 * off);
        carry(y + 1, x, c, 5 * off), carry(y + 1, x + 1, c, off);
      }
    }
}

/// Bayer's matrix (1973): thresholds between -1/2 and 1/2, neighbours as far apart as they can be.
float bayer(int64_t order, int64_t y, int64_t x) {
  if (order == 1) return 0;
  constexpr float kOffsets[2][2] = {{-1.5f, 0.5f}, {1.5f, -0.5f}};
  const int64_t half = order / 2;
  return bayer(half, y % half, x % half) + kOffsets[y / half][x / half] / static_cast<float>(order * order);
}

void add_pattern(Bitmap& map, size_t colours, int64_t order) {
  const float spread = 2 * 256.0f / static_cast<float>(colours);
  for (int64_t y = 0; y < map.height; ++y)
    for (int64_t x = 0; x < map.width; ++x) {
      const float offset = spread * bayer(order, y % order, x % order) + 0.5f;
      for (int& value : map.pixels[static_cast<size_t>(y * map.width + x)])
        value = static_cast<int>(std::clamp(static_cast<float>(value) + offset, 0.0f, 255.0f));
    }
}

int64_t bayer_order(std::string_view dither) {
  int64_t order = 0;
  if (dither.starts_with("bayer-")) std::from_chars(dither.data() + 6, dither.data() + dither.size(), order);
  return order;
}

}  // namespace

Tensor quantized(Allocator& memory, const Tensor& image, int64_t colors, std::string_view dither) {
  const int64_t order = bayer_order(dither);
  const bool is_known =
      dither == "none" || dither == "floyd-steinberg" || order == 2 || order == 4 || order == 8 || order == 16;
  if (!is_known) throw Error(Code::kInvalidArgument, fmt::format("no dithering is called '{}'", dither));
  if (image.dim(3) != 3) throw Error(Code::kInvalidArgument, "only pictures of red, green and blue can be quantized");
  Tensor out = make_tensor(memory, image.shape());
  const int64_t plane = image.dim(1) * image.dim(2);
  for (int64_t b = 0; b < image.dim(0); ++b) {
    Bitmap map{image.dim(1), image.dim(2), std::vector<Colour>(static_cast<size_t>(plane))};
    const float* from = image.data<const float>() + b * plane * 3;
    for (Colour& pixel : map.pixels)
      for (int& value : pixel) value = static_cast<int>(std::clamp(*from++ * 255.0f, 0.0f, 255.0f));
    Palette palette(map.pixels, static_cast<size_t>(colors));
    if (order > 0) add_pattern(map, palette.size(), order);
    if (dither == "floyd-steinberg") {
      diffuse_errors(map, palette);
    } else {
      for (Colour& pixel : map.pixels) pixel = palette.nearest(pixel);
    }
    float* to = out.data<float>() + b * plane * 3;
    for (const Colour& pixel : map.pixels)
      for (int value : pixel) *to++ = static_cast<float>(value) / 255.0f;
  }
  return out;
}

}  // namespace hearth::workflow
