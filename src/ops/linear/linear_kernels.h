// What linear.cpp calls after its checks: one product per weight, all of the same x. Shapes are those of linear().
#pragma once
#include <span>

#include "core/device/ctx.h"
#include "core/device/cuda.h"
#include "core/tensor/weight.h"

namespace hearth {

/// A Weight without its count: valid while the Weight lives.
struct Matrix {
  const std::byte* data = nullptr;
  DType scheme = DType::kF32;
  Layout layout = Layout::kFile;
  int64_t out = 0, in = 0;
};

/// y = x wᵀ + bias.
struct Product {
  Matrix w;
  const float* bias = nullptr;  // [out], or null
  float* y = nullptr;           // [rows, out], contiguous
};

}  // namespace hearth

namespace hearth::cpu {

/// Whether a kernel exists for the scheme, in any layout.
bool has_linear(DType scheme);
/// Working space for x [rows, in] rounded to int8; 0 when every weight is float.
int64_t linear_scratch_bytes(int64_t rows, int64_t in, std::span<const DType> schemes);
/// x [rows, in] f32, rows `x.strides[0]` apart.
void linear(const Ctx& c, const View& x, std::span<const Product> products, std::byte* scratch);

}  // namespace hearth::cpu

namespace hearth::cuda {

bool has_linear(DType scheme);
/// Working space for one product.
int64_t linear_scratch_bytes(const Caps& caps, int64_t rows, const Matrix& w);
void linear(Stream stream, const Caps& caps, const View& x, const Product& product, std::byte* scratch);

}  // namespace hearth::cuda
