// A convolution as a product whose rows are patches: gemm() asks for a piece of some patches, and only that is copied.
// In a patch the taps of one row of the kernel are neighbours in the map too, so that a row of the kernel is one copy
// where it lies inside the map.
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

}  // namespace

void conv2d(const Ctx& c, const ConvArgs& args) {
  const Patches patches(args);
  int64_t rows = args.y.shape[0] * args.y.shape[1] * args.y.shape[2];
  Product product{args.w, args.bias, args.y.as<float>()};
  gemm(
      c, rows, args.w.in, [&](const GemmPiece& piece) { patches.gather(piece); }, {&product, 1}, args.scratch);
}

}  // namespace hearth::cpu
