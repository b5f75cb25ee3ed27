// How keys and values lie in pages on CUDA: one cell type per dtype, eight dims at a time.
#pragma once
#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "core/base/error.h"
#include "core/tensor/dtype.h"

namespace hearth::cuda {

__device__ inline float to_float(float cell) { return cell; }
__device__ inline float to_float(__half cell) { return __half2float(cell); }
__device__ inline float to_float(__nv_bfloat16 cell) { return __bfloat162float(cell); }

__device__ inline void round_to(float value, float& cell) { cell = value; }
__device__ inline void round_to(float value, __half& cell) { cell = __float2half_rn(value); }
__device__ inline void round_to(float value, __nv_bfloat16& cell) { cell = __float2bfloat16_rn(value); }

/// Eight consecutive dims, loaded 16 bytes at a time: head_dim is a multiple of 8 and pages are aligned.
template <class Cell>
__device__ void load_eight(const Cell* from, float* to) {
  constexpr int kPerLoad = 16 / sizeof(Cell);
  alignas(16) Cell cells[8];
#pragma unroll
  for (int i = 0; i < 8; i += kPerLoad) {
    *reinterpret_cast<uint4*>(cells + i) = *reinterpret_cast<const uint4*>(from + i);
  }
#pragma unroll
  for (int i = 0; i < 8; ++i) to[i] = to_float(cells[i]);
}

/// Calls body.operator()<Cell>() for a page dtype.
template <class Body>
void dispatch_cell(DType dtype, Body body) {
  switch (dtype) {
    case DType::kF16: return body.template operator()<__half>();
    case DType::kBF16: return body.template operator()<__nv_bfloat16>();
    case DType::kF32: return body.template operator()<float>();
    default: throw Error(Code::kUnsupported, "pages on CUDA are f16, bf16 or f32");
  }
}

}  // namespace hearth::cuda
