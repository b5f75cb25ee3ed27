// Group norm in two passes over a map: sums per channel over blocks of pixels, then one multiply-add per element.
// Blocks depend on shapes alone, so neither threads nor the other batch entries change a result. Channels are summed
// relative to their first pixel, which keeps the variance exact where a mean is far larger than the spread around it.
#include <algorithm>
#include <cmath>

#include "ops/norm/norm_kernels.h"
#include "ops/simd/level.h"

namespace hearth::cpu {
namespace {

// Pixels summed by one task: a block that stays in the second cache level, and few enough blocks that adding them up is
// nothing.
int64_t block_pixels(int64_t pixels, int64_t channels) {
  constexpr int64_t kBlockElements = 64 << 10, kMaxBlocks = 256;
  return std::max(
      {int64_t{1}, kBlockElements / std::max<int64_t>(channels, 1), (pixels + kMaxBlocks - 1) / kMaxBlocks});
}
int64_t blocks_of(int64_t pixels, int64_t channels) {
  int64_t step = block_pixels(pixels, channels);
  return (pixels + step - 1) / step;
}

// Turns the blocks' sums of one batch entry into a factor and an offset per channel.
class Coefficients {
 public:
  Coefficients(const GroupNormArgs& args, int64_t blocks) : args_(args), blocks_(blocks) {}

  /// sums [blocks][2][channels]; the first block's place takes the total.
  void make(const float* shift, float* sums, float* factor, float* offset) const {
    const int64_t channels = args_.x.shape[2];
    for (int64_t block = 1; block < blocks_; ++block) {
      const float* from = sums + block * 2 * channels;
      for (int64_t i = 0; i < 2 * channels; ++i) sums[i] += from[i];
    }
    const int64_t each = channels / args_.groups;
    for (int64_t first = 0; first < channels; first += each) make_group(first, each, shift, sums, factor, offset);
  }

 private:
  void make_group(int64_t first, int64_t each, const float* shift, const float* sums, float* factor,
                  float* offset) const {
    const int64_t channels = args_.x.shape[2];
    const double pixels = static_cast<double>(args_.x.shape[1]);
    double mean = 0, squares = 0;
    for (int64_t i = first; i < first + each; ++i) mean += shift[i] + sums[i] / pixels;
    mean /= static_cast<double>(each);
    for (int64_t i = first; i < first + each; ++i) {
      double own = sums[i] / pixels, apart = shift[i] + own - mean;
      squares += sums[channels + i] - own * sums[i] + pixels * apart * apart;
    }
    double variance = std::max(squares, 0.0) / (pixels * static_cast<double>(each));
    double scale = 1 / std::sqrt(variance + args_.eps);
    for (int64_t i = first; i < first + each; ++i) {
      factor[i] = static_cast<float>(scale * args_.w.as<float>()[i]);
      offset[i] = static_cast<float>(args_.b.as<float>()[i] - mean * scale * args_.w.as<float>()[i]);
    }
  }

  const GroupNormArgs& args_;
  int64_t blocks_;
};

}  // namespace

int64_t group_norm_scratch_bytes(int64_t batch, int64_t pixels, int64_t channels) {
  return 4 * batch * channels * (2 * blocks_of(pixels, channels) + 2);
}

void group_norm(const Ctx& c, const GroupNormArgs& args) {
  const NormKernels& kernels = *level(c.caps.isa).norm;
  const int64_t batch = args.x.shape[0], pixels = args.x.shape[1], channels = args.x.shape[2];
  const int64_t step = block_pixels(pixels, channels), blocks = blocks_of(pixels, channels);
  const float* x = args.x.as<float>();
  float* sums = reinterpret_cast<float*>(args.scratch.data);  // [batch][blocks][2][channels]
  float* factors = sums + batch * blocks * 2 * channels;  // [batch][2][channels]
  auto for_blocks = [&](auto body) {
    c.parallel_for(batch * blocks, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        int64_t entry = i / blocks, first = i % blocks * step;
        body(entry, i, (entry * pixels + first) * channels, std::min(step, pixels - first));
      }
    });
  };
  for_blocks([&](int64_t entry, int64_t block, int64_t at, int64_t n) {
    kernels.channel_sums(x + at, n, channels, x + entry * pixels * channels, sums + block * 2 * channels);
  });
  for (int64_t entry = 0; entry < batch; ++entry) {
    float* factor = factors + entry * 2 * channels;
    Coefficients(args, blocks)
        .make(x + entry * pixels * channels, sums + entry * blocks * 2 * channels, factor, factor + channels);
  }
  for_blocks([&](int64_t entry, int64_t, int64_t at, int64_t n) {
    const float* factor = factors + entry * 2 * channels;
    kernels.scale_channels(x + at, n, channels, factor, factor + channels, args.silu, args.y.as<float>() + at);
  });
}

}  // namespace hearth::cpu
