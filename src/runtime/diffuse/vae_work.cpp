#include "runtime/diffuse/vae_work.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/log.h"
#include "ops/index/copy.h"
#include "runtime/diffuse/tiles.h"

namespace hearth::diffuse {
namespace {

constexpr int64_t kFallbackTile = 512, kFallbackOverlap = 64;  // pixels, where a whole picture does not fit

void want(const Tensor& t, int64_t channels_at, int64_t channels, const char* what) {
  if (t && t.rank() == 4 && t.dtype() == DType::kF32 && t.is_contiguous() && t.dim(static_cast<int>(channels_at)) >= channels) return;
  throw Error(Code::kInvalidArgument, fmt::format("{}: got {}, wanted 4 dimensions and {} channels", what,
                                                  t ? t.shape().text() : "nothing", channels));
}

// Overlaps as ComfyUI keeps them: at most a quarter of a tile.
int64_t overlap_of(const VaeOptions& options) { return std::min(options.overlap, options.tile / 4); }

}  // namespace

Tensor VaeWork::network_decode(Ctx& c, const Tensor& z) const {
  if (file_.is_tiny()) return static_cast<const NetPart<TinyVae>&>(*part_).net().decode(c, z);
  return static_cast<const NetPart<KlVae>&>(*part_).net().decode(c, z);
}

Tensor VaeWork::network_encode(Ctx& c, const Tensor& x) const {
  if (file_.is_tiny()) return static_cast<const NetPart<TinyVae>&>(*part_).net().encode(c, x);
  return static_cast<const NetPart<KlVae>&>(*part_).net().encode(c, x);
}

std::vector<float> VaeWork::decode_whole(std::span<const float> z, int64_t n, int64_t height, int64_t width,
                                         const Watch& watch) {
  const int64_t shrink = file_.shrink();
  std::vector<float> scaled;
  if (file_.is_tiny()) {  // a tiny decoder reads the denoiser's latents
    scaled.assign(z.begin(), z.end());
    for (float& v : scaled) v *= file_.tiny_scale();
    z = scaled;
  }
  std::vector<float> out(static_cast<size_t>(n * 3 * height * width * shrink * shrink));
  lane_.run(fmt::format("decode {} {}x{}x{}", file_.key(), n, height, width), watch.is_cancelled, [&](Ctx& c) {
    const Tensor picture = network_decode(c, upload_map(c, z, n, file_.latent_channels(), height, width));
    download_map(c, picture, out);
  });
  return out;
}

std::vector<float> VaeWork::encode_whole(std::span<const float> x, int64_t n, int64_t height, int64_t width,
                                         const Watch& watch) {
  const int64_t shrink = file_.shrink(), h = height / shrink, w = width / shrink, channels = file_.latent_channels();
  const int64_t made = file_.is_tiny() ? channels : 2 * channels;  // log variances behind the means
  std::vector<float> moments(static_cast<size_t>(n * made * h * w));
  lane_.run(fmt::format("encode {} {}x{}x{}", file_.key(), n, height, width), watch.is_cancelled, [&](Ctx& c) {
    download_map(c, network_encode(c, upload_map(c, x, n, 3, height, width)), moments);
  });
  std::vector<float> means(static_cast<size_t>(n * channels * h * w));
  for (int64_t i = 0; i < n; ++i) {
    std::copy_n(moments.begin() + i * made * h * w, channels * h * w, means.begin() + i * channels * h * w);
  }
  if (file_.is_tiny()) {
    for (float& v : means) v /= file_.tiny_scale();
  }
  return means;
}

Tensor VaeWork::decode(const Tensor& samples, const VaeOptions& options, const Watch& watch) {
  want(samples, 1, file_.latent_channels(), "latent");
  const int64_t batch = samples.dim(0), channels = samples.dim(1), h = samples.dim(2), w = samples.dim(3);
  if (channels != file_.latent_channels()) want(Tensor(), 1, file_.latent_channels(), "latent");
  const int64_t shrink = file_.shrink();
  Tensor pictures = memory_.tensor(DType::kF32, {batch, h * shrink, w * shrink, 3}, "pictures");
  const int64_t plane = h * w * shrink * shrink;
  VaeOptions how = options;
  const int64_t together = options.slicing || options.tile > 0 ? 1 : batch;
  for (int64_t first = 0; first < batch;) {
    const int64_t n = std::min(together, batch - first);
    const std::span<const float> z(samples.data<float>() + first * channels * h * w,
                                   static_cast<size_t>(n * channels * h * w));
    std::vector<float> x;
    if (how.tile > 0) {
      const TilePlan plan{.tile = how.tile / shrink, .overlap = overlap_of(how) / shrink,
                          .scale = static_cast<double>(shrink)};
      int64_t done = 0;
      const int64_t count = tile_count({channels, h, w}, plan) * batch;
      x.resize(static_cast<size_t>(3 * plane));
      work_in_tiles(z, {channels, h, w}, plan, 3, [&](std::span<const float> piece, MapSize size) {
        std::vector<float> made = decode_whole(piece, 1, size.height, size.width, watch);
        if (watch.progress) watch.progress(first * (count / batch) + ++done, count);
        return made;
      }, x);
    } else {
      try {
        x = decode_whole(z, n, h, w, watch);
      } catch (const Error& e) {
        if (e.code() != Code::kNoMemory || (h * shrink <= kFallbackTile && w * shrink <= kFallbackTile)) throw;
        log::warn("no room to decode a whole picture ({}); decoding it in tiles of {} pixels", e.message(), kFallbackTile);
        how.tile = kFallbackTile;
        how.overlap = kFallbackOverlap;
        continue;
      }
    }
    float* to = pictures.data<float>() + first * plane * 3;
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t p = 0; p < plane; ++p) {
        for (int64_t c = 0; c < 3; ++c) {
          const float value = (x[static_cast<size_t>((i * 3 + c) * plane + p)] + 1.0f) / 2.0f;
          to[(i * plane + p) * 3 + c] = std::clamp(value, 0.0f, 1.0f);
        }
      }
    }
    first += n;
  }
  return pictures;
}

Tensor VaeWork::encode(const Tensor& pixels, const VaeOptions& options, const Watch& watch) {
  want(pixels, 3, 3, "picture");
  const int64_t shrink = file_.shrink(), batch = pixels.dim(0), depth = pixels.dim(3), channels = file_.latent_channels();
  const int64_t height = pixels.dim(1) / shrink * shrink, width = pixels.dim(2) / shrink * shrink;
  if (height == 0 || width == 0) {
    throw Error(Code::kInvalidArgument, fmt::format("a picture of {}x{} is too small: at least {} pixels a side",
                                                    pixels.dim(2), pixels.dim(1), shrink));
  }
  const int64_t top = pixels.dim(1) % shrink / 2, left = pixels.dim(2) % shrink / 2;  // the middle is kept
  const int64_t h = height / shrink, w = width / shrink;
  Tensor latents = memory_.tensor(DType::kF32, {batch, channels, h, w}, "latents");
  std::vector<float> x(static_cast<size_t>(3 * height * width));
  for (int64_t i = 0; i < batch; ++i) {
    for (int64_t y = 0; y < height; ++y) {
      for (int64_t u = 0; u < width; ++u) {
        const float* from = pixels.data<float>() + ((i * pixels.dim(1) + top + y) * pixels.dim(2) + left + u) * depth;
        for (int64_t c = 0; c < 3; ++c) x[static_cast<size_t>((c * height + y) * width + u)] = from[c] * 2.0f - 1.0f;
      }
    }
    const std::span<float> to(latents.data<float>() + i * channels * h * w, static_cast<size_t>(channels * h * w));
    if (options.tile > 0) {
      const TilePlan plan{.tile = options.tile, .overlap = overlap_of(options), .scale = 1.0 / static_cast<double>(shrink),
                          .is_square_first = true};
      work_in_tiles(x, {3, height, width}, plan, channels, [&](std::span<const float> piece, MapSize size) {
        return encode_whole(piece, 1, size.height, size.width, watch);
      }, to);
    } else {
      const std::vector<float> z = encode_whole(x, 1, height, width, watch);
      std::copy(z.begin(), z.end(), to.begin());
    }
    if (watch.progress && batch > 1) watch.progress(i + 1, batch);
  }
  return latents;
}

}  // namespace hearth::diffuse
