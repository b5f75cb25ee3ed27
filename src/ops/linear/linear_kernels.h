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

/// Products of one x that run as one group.
inline constexpr size_t kMaxProducts = 8;

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
/// Working space: x [rows, in] rounded to int8 for quantised weights, what gemm() needs for float ones.
int64_t linear_scratch_bytes(const Caps& caps, int64_t rows, int64_t in, std::span<const DType> schemes);
/// x [rows, in] f32, rows `x.strides[0]` apart; at most kMaxProducts products.
void linear(const Ctx& c, const View& x, std::span<const Product> products, std::byte* scratch);

}  // namespace hearth::cpu

namespace hearth::cuda {

bool has_linear(DType scheme);
/// Working space for one product.
int64_t linear_scratch_bytes(const Caps& caps, int64_t rows, const Matrix& w);
void linear(Stream stream, const Caps& caps, const View& x, const Product& product, std::byte* scratch);

}  // namespace hearth::cuda
