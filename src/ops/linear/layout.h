// Which memory layout a weight takes on a device, what it costs, and how file rows become it. The loader, Meta and the
// governor all ask here: no second place knows layouts. A weight of more than two dimensions is the matrix of its first
// one by all others: a convolution's [O, kh, kw, I] packs as [O, kh*kw*I], and "a row" below is one O.
#pragma once
#include <cstddef>
#include <cstdint>

#include "core/device/device.h"
#include "core/tensor/weight.h"

namespace hearth {

/// The layout linear() is fastest with on `caps` for this scheme and shape [out, in...]. Padding never exceeds 2 %:
/// shapes that would need more stay kFile.
Layout pick_layout(const Caps& caps, DType scheme, const Shape& shape);

/// Exact bytes of a weight in a layout.
int64_t packed_bytes(DType scheme, Layout layout, const Shape& shape);

/// Rows that pack_rows must be given together: 16 for kRows16, 1 for kFile.
int64_t row_tile(Layout layout);

/// Repacks whole tiles: `file_rows` holds rows [first_row, first_row + n_rows) of the weight as the file has them;
/// writes their place in `packed` (the weight's first byte). n_rows is a multiple of row_tile, or reaches the last row.
void pack_rows(DType scheme, Layout layout, const Shape& shape, int64_t first_row, int64_t n_rows,
               const std::byte* file_rows, std::byte* packed);

/// Decodes row `row` to float32 from any layout; for embeddings, tests and references.
void unpack_row(const Weight& weight, int64_t row, float* out);

}  // namespace hearth
