// Level: the kernel tables of one instruction set. level() picks by Caps::isa; kPlain's tables are the references that
// define the ops. All vector levels give the same bits as each other; the references are only close to them.
#pragma once
#include <cstdint>

#include "core/device/device.h"

namespace hearth::cpu {

struct NormKernels;
struct PointwiseKernels;
struct AttentionKernels;
struct GemmKernels;
struct FullAttentionKernels;

/// The vector functions of math.h as runs: what their test measures.
struct MathKernels {
  void (*exp)(const float* x, int64_t n, float* y);
  void (*tanh)(const float* x, int64_t n, float* y);
  void (*sin_cos)(const float* x, int64_t n, float* sin, float* cos);
  void (*erf)(const float* x, int64_t n, float* y);
};

struct Level {
  const NormKernels* norm;
  const PointwiseKernels* pointwise;
  const AttentionKernels* attention;
  const MathKernels* math;
  const GemmKernels* gemm;
  const FullAttentionKernels* full_attention;
};

const Level& level(CpuIsa isa);

extern const Level kAvx2Level, kAvx512Level;  // x86-64
extern const Level kNeonLevel;                // AArch64

}  // namespace hearth::cpu
