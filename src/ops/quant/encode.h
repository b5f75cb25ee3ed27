// Simple quantisers, so that tests, goldens and converters can make weights. Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 round as
// the GGUF reference does; Q4_K and Q6_K take each sub-block's range without searching for a better scale.
// Threads: pure functions. Failures: a type outside can_encode() or a partial block is a bug of the caller.
#pragma once
#include <cstdint>

#include "core/tensor/dtype.h"

namespace hearth::quant {

/// f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0, q4_k, q6_k.
bool can_encode(DType type);

/// Encodes n finite values (whole blocks) into row_bytes(type, n) bytes at `blocks`, which needs no alignment.
void encode_row(DType type, const float* in, void* blocks, int64_t n);

}  // namespace hearth::quant
