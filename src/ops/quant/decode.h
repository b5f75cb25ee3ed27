// Reference decoding of every stored element type to float32: the definition the fast kernels are tested against.
// Written for clarity, one element at a time; results are those of the GGUF reference implementation bit for bit.
// Threads: pure functions. Failures: an unknown type or a partial block is a bug of the caller.
#pragma once
#include <cstdint>

#include "core/tensor/dtype.h"

namespace hearth::quant {

/// Whether decode_row() knows the type. Integers and booleans become their value; f64 and i64 are rounded.
bool supported(DType type);

/// Decodes n elements (whole blocks) of a contiguous row. `blocks` needs no alignment; the ranges must not overlap.
void decode_row(DType type, const void* blocks, float* out, int64_t n);

}  // namespace hearth::quant
