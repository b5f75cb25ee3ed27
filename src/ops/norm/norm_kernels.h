// What norm.cpp calls after its checks. Views are float32 with a contiguous last dimension; w, sum and y have no gaps.
#pragma once
#include "core/device/ctx.h"
#include "core/device/cuda.h"

namespace hearth::cpu {

/// x may have strided rows; y has x's shape.
void rms_norm(const Ctx& c, const View& x, const View& w, float eps, const View& y);
/// sum = a + b, y = rms_norm(sum). a and b are contiguous.
void add_rms_norm(const Ctx& c, const View& a, const View& b, const View& w, float eps, const View& sum, const View& y);

/// One row at one instruction set: the sum of squares has one order, given by the row's length alone.
struct NormKernels {
  void (*rms_norm)(const float* x, const float* w, int64_t dim, float eps, float* y);
  void (*add_rms_norm)(const float* a, const float* b, const float* w, int64_t dim, float eps, float* sum, float* y);
};
extern const NormKernels kNormPlain;

}  // namespace hearth::cpu

namespace hearth::cuda {

void rms_norm(Stream stream, const View& x, const View& w, float eps, const View& y);
void add_rms_norm(Stream stream, const View& a, const View& b, const View& w, float eps, const View& sum,
                  const View& y);

}  // namespace hearth::cuda
