// Rows of a weight while they are loaded: encoding and the order of their elements.
#pragma once
#include <cstddef>
#include <span>
#include <vector>

#include "core/tensor/weight.h"

namespace hearth {

/// A weight's shape as the matrix its layout is made of: the first axis by all others.
Shape matrix_of(const Weight& weight);

/// A matrix of scalars [rows, columns] as [columns, rows].
std::vector<std::byte> transposed(DType type, std::span<const std::byte> matrix, int64_t rows, int64_t columns);

/// n_rows convolution kernels [channels, taps] as [taps, channels].
std::vector<std::byte> channels_last(DType type, std::span<const std::byte> kernels, int64_t n_rows, int64_t channels,
                                     int64_t taps);

/// Values in f32, f16, bf16 or another encoding quant::encode_row knows, rounded to nearest even.
std::vector<std::byte> encoded(DType type, std::span<const float> values);

}  // namespace hearth
