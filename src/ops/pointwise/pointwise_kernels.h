// What pointwise.cpp calls after its checks: contiguous float32 views of one shape.
#pragma once
#include "core/device/ctx.h"
#include "core/device/cuda.h"

namespace hearth::cpu {

void add(const Ctx& c, const View& a, const View& b, const View& y);
void scale(const Ctx& c, const View& x, float factor, const View& y);
void swiglu(const Ctx& c, const View& gate, const View& up, const View& y);
void geglu(const Ctx& c, const View& gate, const View& up, const View& y);
void softcap(const Ctx& c, const View& x, float limit, const View& y);

using UnaryKernel = void (*)(const float* x, int64_t n, float* y);

/// Runs of n elements at one instruction set; an element's bits do not depend on its place in the run.
struct PointwiseKernels {
  void (*add)(const float* a, const float* b, int64_t n, float* y);
  void (*scale)(const float* x, float factor, int64_t n, float* y);
  void (*swiglu)(const float* gate, const float* up, int64_t n, float* y);
  void (*geglu)(const float* gate, const float* up, int64_t n, float* y);
  void (*softcap)(const float* x, float limit, int64_t n, float* y);
  UnaryKernel silu, gelu, quick_gelu, relu, tanh_clamp;
  void (*geglu_erf)(const float* gate, const float* up, int64_t n, float* y);
};
extern const PointwiseKernels kPointwisePlain;

void unary(const Ctx& c, UnaryKernel PointwiseKernels::*kernel, const View& x, const View& y);
/// gate and up may have strided rows.
void geglu_erf(const Ctx& c, const View& gate, const View& up, const View& y);
/// x [batch, between, channels], b [batch, channels].
void add_row(const Ctx& c, const View& x, const View& b, const View& y);

}  // namespace hearth::cpu

namespace hearth::cuda {

void add(Stream stream, const View& a, const View& b, const View& y);
void scale(Stream stream, const View& x, float factor, const View& y);
void swiglu(Stream stream, const View& gate, const View& up, const View& y);
void geglu(Stream stream, const View& gate, const View& up, const View& y);
void softcap(Stream stream, const View& x, float limit, const View& y);

}  // namespace hearth::cuda
