#include "runtime/diffuse/vae_work.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/log.h"
#include "ops/index/copy.h"
#include "runtime/diffuse/tiles.h"

namespace hearth::diffuse {
namespace {

void want(const Tensor& t, int64_t channels_at, int64_t channels, const char* what) {
  if (t && t.rank() == 4 && t.dtype() == DType::kF32 && t.is_contiguous() &&
      t.dim(static_cast<int>(channels_at)) >= channels) {
    return;
  }
  throw Error(Code::kInvalidArgument, fmt::format("{}: got {}, wanted 4 dimensions and {} channels", what,
                                                  t ? t.shape().text() : "nothing", channels));
}

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
  lane_.run(fmt::format("decode {}{} {}x{}x{}", file_.key(), compute_.step_key(), n, height, width), watch.is_cancelled,
            [&](Ctx& c) {
    c.attention = compute_.attention_kind();
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
  lane_.run(fmt::format("encode {}{} {}x{}x{}", file_.key(), compute_.step_key(), n, height, width), watch.is_cancelled,
            [&](Ctx& c) {
    c.attention = compute_.attention_kind();
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

// The first is what was asked for; the others, while they are left open, need less memory.
std::vector<VaeWork::Way> VaeWork::ways(const VaeOptions& options, int64_t batch, int64_t height, int64_t width) const {
  const Tiling tiling = options.tile > 0 ? Tiling::kOn : compute_.vae_tiling.value_or(Tiling::kAuto);
  const int64_t tile = options.tile > 0 ? options.tile : compute_.vae_tile.value_or(kDefaultTile);
  const Way tiles{1, tile, std::min(options.overlap, tile / 4)};  // overlaps as ComfyUI keeps them
  if (tiling == Tiling::kOn) return {tiles};
  const bool slices = options.slicing.value_or(compute_.vae_slicing.value_or(true));
  std::vector<Way> ways{{slices ? 1 : batch}};
  if (ways.front().pictures > 1) ways.push_back({1});
  if (tiling == Tiling::kAuto && (height > tile || width > tile)) ways.push_back(tiles);
  return ways;
}

void VaeWork::in_ways(const std::vector<Way>& ways, int64_t batch, const char* what,
                      const std::function<void(const Way& way, int64_t first, int64_t n)>& work) const {
  auto way = ways.begin();
  for (int64_t first = 0; first < batch;) {
    const int64_t n = std::min(way->pictures, batch - first);
    try {
      work(*way, first, n);
      first += n;
    } catch (const Error& e) {
      if (e.code() != Code::kNoMemory || std::next(way) == ways.end()) throw;
      ++way;
      log::warn("no room to {} {} ({}); taking {}", what,
                n > 1 ? fmt::format("{} pictures at once", n) : "a whole picture", e.message(),
                way->tile > 0 ? fmt::format("pieces of {} pixels", way->tile) : "one at a time");
    }
  }
}

Tensor VaeWork::decode(const Tensor& samples, const VaeOptions& options, const Watch& watch) {
  want(samples, 1, file_.latent_channels(), "latent");
  const int64_t batch = samples.dim(0), channels = samples.dim(1), h = samples.dim(2), w = samples.dim(3);
  if (channels != file_.latent_channels()) want(Tensor(), 1, file_.latent_channels(), "latent");
  const int64_t shrink = file_.shrink(), plane = h * w * shrink * shrink;
  Tensor pictures = memory_.tensor(DType::kF32, {batch, h * shrink, w * shrink, 3}, "pictures");
  in_ways(ways(options, batch, h * shrink, w * shrink), batch, "decode", [&](const Way& way, int64_t first, int64_t n) {
    const std::span<const float> z(samples.data<float>() + first * channels * h * w,
                                   static_cast<size_t>(n * channels * h * w));
    // In host memory beside the result: the decoder's pictures; with tiles the sum that blends them, and pieces, too.
    const StorageRef held = memory_.book(row_bytes(DType::kF32, 3 * plane * (way.tile > 0 ? 3 : n)), "pictures");
    std::vector<float> x;
    if (way.tile > 0) {
      const TilePlan plan{.tile = way.tile / shrink, .overlap = way.overlap / shrink,
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
      x = decode_whole(z, n, h, w, watch);
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
  });
  return pictures;
}

Tensor VaeWork::encode(const Tensor& pixels, const VaeOptions& options, const Watch& watch) {
  want(pixels, 3, 3, "picture");
  const int64_t shrink = file_.shrink(), batch = pixels.dim(0), depth = pixels.dim(3),
                channels = file_.latent_channels();
  const int64_t height = pixels.dim(1) / shrink * shrink, width = pixels.dim(2) / shrink * shrink;
  if (height == 0 || width == 0) {
    throw Error(Code::kInvalidArgument, fmt::format("a picture of {}x{} is too small: at least {} pixels a side",
                                                    pixels.dim(2), pixels.dim(1), shrink));
  }
  const int64_t top = pixels.dim(1) % shrink / 2, left = pixels.dim(2) % shrink / 2;  // the middle is kept
  const int64_t h = height / shrink, w = width / shrink;
  Tensor latents = memory_.tensor(DType::kF32, {batch, channels, h, w}, "latents");
  in_ways(ways(options, batch, height, width), batch, "encode", [&](const Way& way, int64_t first, int64_t n) {
    const StorageRef held = memory_.book(row_bytes(DType::kF32, n * 3 * height * width), "pictures");
    std::vector<float> x(static_cast<size_t>(n * 3 * height * width));
    for (int64_t i = 0; i < n; ++i) {
      float* picture = x.data() + i * 3 * height * width;
      for (int64_t y = 0; y < height; ++y) {
        const float* row =
            pixels.data<float>() + (((first + i) * pixels.dim(1) + top + y) * pixels.dim(2) + left) * depth;
        for (int64_t u = 0; u < width; ++u) {
          for (int64_t c = 0; c < 3; ++c) picture[(c * height + y) * width + u] = row[u * depth + c] * 2.0f - 1.0f;
        }
      }
    }
    const std::span<float> to(latents.data<float>() + first * channels * h * w,
                              static_cast<size_t>(n * channels * h * w));
    if (way.tile > 0) {
      const TilePlan plan{.tile = way.tile, .overlap = way.overlap, .scale = 1.0 / static_cast<double>(shrink),
                          .is_square_first = true};
      work_in_tiles(x, {3, height, width}, plan, channels, [&](std::span<const float> piece, MapSize size) {
        return encode_whole(piece, 1, size.height, size.width, watch);
      }, to);
    } else {
      const std::vector<float> z = encode_whole(x, n, height, width, watch);
      std::copy(z.begin(), z.end(), to.begin());
    }
    if (watch.progress && batch > 1) watch.progress(first + n, batch);
  });
  return latents;
}

}  // namespace hearth::diffuse
