// A convolution as a product whose rows are patches. Where outputs are many, gemm() asks for a piece of some patches,
// and only that is copied: in a patch the taps of one row of the kernel are neighbours in the map too, so that a row of
// the kernel is one copy where it lies inside the map. Where outputs are few, copying every value nine times would cost
// a large part of the product: see Rectangles.
#include <algorithm>
#include <cstring>

#include "ops/conv/conv_kernels.h"
#include "ops/gemm/gemm.h"

namespace hearth::cpu {
namespace {

class Patches {
 public:
  explicit Patches(const ConvArgs& args)
      : p_(args.params), x_(args.x.as<float>()), height_(args.x.shape[1]), width_(args.x.shape[2]),
        channels_(args.x.shape[3]), kernel_width_(args.kernel_width), out_height_(args.y.shape[1]),
        out_width_(args.y.shape[2]), is_matrix_(args.kernel_height * args.kernel_width == 1 && p_.stride == 1 &&
                                                p_.upsample == 1 && p_.top + p_.left + p_.bottom + p_.right == 0) {}

  void gather(const GemmPiece& piece) const {
    int64_t ox = piece.first % out_width_, row = piece.first / out_width_;
    int64_t oy = row % out_height_, entry = row / out_height_;
    for (int64_t i = 0; i < piece.n; ++i) {
      float* to = piece.to + i * piece.stride;
      if (is_matrix_) {
        copy(x_ + (piece.first + i) * channels_ + piece.begin, piece.columns, to);
        continue;
      }
      gather_patch(entry, oy * p_.stride - p_.top, ox * p_.stride - p_.left, piece, to);
      if (++ox < out_width_) continue;
      ox = 0;
      if (++oy < out_height_) continue;
      oy = 0, ++entry;
    }
  }

 private:
  static void copy(const float* from, int64_t n, float* to) { std::memcpy(to, from, static_cast<size_t>(n) * 4); }
  static void zero(float* to, int64_t n) { std::memset(to, 0, static_cast<size_t>(n) * 4); }

  // The columns of a piece out of the patch whose first tap is pixel (top, left), which may lie outside the map.
  void gather_patch(int64_t entry, int64_t top, int64_t left, const GemmPiece& piece, float* to) const {
    const int64_t run = kernel_width_ * channels_, end = piece.begin + piece.columns;
    for (int64_t at = piece.begin; at < end;) {
      int64_t ky = at / run, from = at % run, n = std::min(run - from, end - at);
      gather_run(entry, top + ky, left, from, n, to);
      at += n, to += n;
    }
  }

  // Columns [from, from + n) of one row of a kernel.
  void gather_run(int64_t entry, int64_t y, int64_t left, int64_t from, int64_t n, float* to) const {
    if (y < 0 || y >= height_ * p_.upsample) return zero(to, n);
    const float* row = x_ + (entry * height_ + y / p_.upsample) * width_ * channels_;
    if (p_.upsample == 1 && left >= 0 && left + kernel_width_ <= width_) {
      return copy(row + left * channels_ + from, n, to);
    }
    for (int64_t at = from; at < from + n;) {
      int64_t tap = at / channels_, channel = at % channels_, part = std::min(channels_ - channel, from + n - at);
      int64_t x = left + tap;
      if (x < 0 || x >= width_ * p_.upsample) {
        zero(to, part);
      } else {
        copy(row + x / p_.upsample * channels_ + channel, part, to);
      }
      at += part, to += part;
    }
  }

  ConvParams p_;
  const float* x_;
  int64_t height_, width_, channels_, kernel_width_, out_height_, out_width_;
  bool is_matrix_;  // 1 x 1: a patch is a pixel
};

// A convolution whose patches overlap so much that copying each costs more than it is worth: a rectangle of outputs is
// computed from the rectangle of the map it reads, copied once with the zeros around it.
class Rectangles {
 public:
  explicit Rectangles(const ConvArgs& args, int threads)
      : p_(args.params), x_(args.x.as<float>()), height_(args.x.shape[1]), width_(args.x.shape[2]),
        channels_(args.x.shape[3]), kernel_height_(args.kernel_height), kernel_width_(args.kernel_width),
        batch_(args.y.shape[0]), out_height_(args.y.shape[1]), out_width_(args.y.shape[2]) {
    const int64_t across = (out_width_ + kMostWide - 1) / kMostWide;
    wide_ = (out_width_ + across - 1) / across;
    across_ = (out_width_ + wide_ - 1) / wide_;
    read_width_ = (wide_ - 1) * p_.stride + kernel_width_;
    const int64_t read_rows = kGemmStripFloats / (read_width_ * channels_);
    high_ = read_rows < kernel_height_ ? 0 : (read_rows - kernel_height_) / p_.stride + 1;
    // Enough of them that threads end together.
    const int64_t wanted = (kTasksPerThread * threads + batch_ * across_ - 1) / (batch_ * across_);
    high_ = std::min(high_, std::max<int64_t>(1, out_height_ / wanted));
    down_ = high_ > 0 ? (out_height_ + high_ - 1) / high_ : 0;
  }

  /// Whether this way is the better one. Many outputs repay packing each patch; few channels are not worth a chunk.
  bool suits(int64_t out) const {
    return kernel_width_ > p_.stride && out <= kMostOut && channels_ >= kFewestChannels &&
           high_ >= kFewestRows && wide_ >= kFewestWide;
  }

  GemmStrips strips() const {
    return {batch_ * down_ * across_, p_.stride * channels_, kernel_width_ * channels_, read_width_ * channels_,
            p_.stride * read_width_ * channels_, out_width_};
  }

  GemmStrip gather(int64_t index, float* to) const {
    const int64_t entry = index / (down_ * across_), place = index % (down_ * across_);
    const int64_t oy = place / across_ * high_, ox = place % across_ * wide_;
    const int64_t rows = std::min(high_, out_height_ - oy), columns = std::min(wide_, out_width_ - ox);
    const int64_t top = oy * p_.stride - p_.top, left = ox * p_.stride - p_.left;
    const int64_t width = (columns - 1) * p_.stride + kernel_width_;
    for (int64_t i = 0; i < (rows - 1) * p_.stride + kernel_height_; ++i) {
      gather_row(entry, top + i, left, width, to + i * read_width_ * channels_);
    }
    return {(entry * out_height_ + oy) * out_width_ + ox, columns, rows};
  }

 private:
  static constexpr int64_t kMostWide = 64;  // outputs; wider rectangles leave room for fewer rows
  static constexpr int64_t kMostOut = 256, kFewestChannels = 32, kFewestRows = 2, kFewestWide = 8;
  static constexpr int64_t kTasksPerThread = 4;

  void gather_row(int64_t entry, int64_t y, int64_t left, int64_t width, float* to) const {
    auto zero = [&](int64_t from, int64_t n) {
      if (n > 0) std::memset(to + from * channels_, 0, static_cast<size_t>(n * channels_) * 4);
    };
    if (y < 0 || y >= height_ * p_.upsample) return zero(0, width);
    const float* row = x_ + (entry * height_ + y / p_.upsample) * width_ * channels_;
    const int64_t begin = std::clamp<int64_t>(-left, 0, width);
    const int64_t end = std::clamp<int64_t>(width_ * p_.upsample - left, begin, width);
    zero(0, begin);
    zero(end, width - end);
    if (p_.upsample == 1) {
      std::memcpy(to + begin * channels_, row + (left + begin) * channels_,
                  static_cast<size_t>((end - begin) * channels_) * 4);
      return;
    }
    for (int64_t i = begin; i < end; ++i) {
      std::memcpy(to + i * channels_, row + (left + i) / p_.upsample * channels_, static_cast<size_t>(channels_) * 4);
    }
  }

  ConvParams p_;
  const float* x_;
  int64_t height_, width_, channels_, kernel_height_, kernel_width_;
  int64_t batch_, out_height_, out_width_;
  int64_t wide_, across_, high_, down_;  // outputs of a rectangle, and how many there are
  int64_t read_width_;                   // pixels a rectangle reads side by side
};

}  // namespace

void conv2d(const Ctx& c, const ConvArgs& args) {
  Product product{args.w, args.bias, args.y.as<float>()};
  const Rectangles rectangles(args, std::max(1, c.caps.threads));
  if (rectangles.suits(args.w.out)) {
    auto gather = [&](int64_t index, float* to) { return rectangles.gather(index, to); };
    return gemm_strips(c, args.w.in, rectangles.strips(), gather, product, args.scratch);
  }
  const Patches patches(args);
  int64_t rows = args.y.shape[0] * args.y.shape[1] * args.y.shape[2];
  gemm(
      c, rows, args.w.in, [&](const GemmPiece& piece) { patches.gather(piece); }, {&product, 1}, args.scratch);
}

}  // namespace hearth::cpu
