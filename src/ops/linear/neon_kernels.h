// The pieces every NEON level shares; what they do is said by LinearKernels. linear_cpu_neon.cpp.
#pragma once
#include "ops/linear/cpu_kernels.h"

namespace hearth::cpu::neon {

void quantize(const float* x, int64_t n, XBlock* out);
void expand(DType scheme, const std::byte* tile, const rows16::Chunk& at, Panel& panel);
void interleave(const RowCodes* rows, Panel& panel);
void expand_float(DType scheme, const std::byte* chunk, int64_t columns, float* w);

}  // namespace hearth::cpu::neon
