// What norm.cpp calls after its checks. Views are float32 with a contiguous last dimension; w, sum and y have no gaps.
#pragma once
#include "core/device/ctx.h"
#include "core/device/cuda.h"

namespace hearth::cpu {

/// x may have strided rows; y has x's shape.
void rms_norm(const Ctx& c, const View& x, const View& w, float eps, const View& y);
/// sum = a + b, y = rms_norm(sum). a and b are contiguous.
void add_rms_norm(const Ctx& c, const View& a, const View& b, const View& w, float eps, const View& sum, const View& y);

/// x may have strided rows; w and b may have no data (1 and 0).
void layer_norm(const Ctx& c, const View& x, const View& w, const View& b, float eps, const View& y);

struct GroupNormArgs {
  View x, y;       // [batch, pixels, channels], contiguous
  View w, b;       // [channels]
  int groups;
  float eps;
  bool silu;
  View scratch;    // group_norm_scratch_bytes()
};
int64_t group_norm_scratch_bytes(int64_t batch, int64_t pixels, int64_t channels);
void group_norm(const Ctx& c, const GroupNormArgs& args);

/// One row at one instruction set: the sum of squares has one order, given by the row's length alone.
struct NormKernels {
  void (*rms_norm)(const float* x, const float* w, int64_t dim, float eps, float* y);
  void (*add_rms_norm)(const float* a, const float* b, const float* w, int64_t dim, float eps, float* sum, float* y);
  /// w and b may be null.
  void (*layer_norm)(const float* x, const float* w, const float* b, int64_t dim, float eps, float* y);
  /// sums[c] and sums[channels + c]: sum and sum of squares of x[p][c] - shift[c], pixels ascending, from zero.
  void (*channel_sums)(const float* x, int64_t pixels, int64_t channels, const float* shift, float* sums);
  /// y[p][c] = x[p][c] * factor[c] + offset[c], then silu of it if asked.
  void (*scale_channels)(const float* x, int64_t pixels, int64_t channels, const float* factor, const float* offset,
                         bool silu, float* y);
};
extern const NormKernels kNormPlain;

}  // namespace hearth::cpu

namespace hearth::cuda {

void rms_norm(Stream stream, const View& x, const View& w, float eps, const View& y);
void add_rms_norm(Stream stream, const View& a, const View& b, const View& w, float eps, const View& sum,
                  const View& y);

}  // namespace hearth::cuda
