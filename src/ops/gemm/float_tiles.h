// Weights of float schemes as tiles [columns][16] of float32, from either layout.
#pragma once
#include "ops/linear/cpu_kernels.h"
#include "ops/linear/linear_kernels.h"

namespace hearth::cpu {

/// Columns [begin, begin + columns) of a tile: in place where the weight already lies so, else expanded to `panel`
/// [columns][16], 64-byte aligned. Outputs beyond the last repeat it: their results are dropped.
const float* float_tile(const LinearKernels& kernels, const Matrix& w, int64_t tile, int64_t begin, int64_t columns,
                        float* panel);

}  // namespace hearth::cpu
