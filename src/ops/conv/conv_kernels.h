// What conv.cpp calls after its checks.
#pragma once
#include "core/device/ctx.h"
#include "ops/conv/conv.h"
#include "ops/linear/linear_kernels.h"

namespace hearth::cpu {

struct ConvArgs {
  View x, y;                 // [B, H, W, I], [B, H', W', O], contiguous
  Matrix w;                  // [O, kh*kw*I]
  const float* bias;         // [O], or null
  int64_t kernel_height, kernel_width;
  ConvParams params;
  std::byte* scratch;        // gemm_scratch_bytes()
};

void conv2d(const Ctx& c, const ConvArgs& args);

}  // namespace hearth::cpu
