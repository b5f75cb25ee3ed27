#include "ops/linear/layout.h"

#include <algorithm>

#include "ops/linear/rows16.h"
#include "ops/quant/decode.h"

namespace hearth {
namespace {

constexpr int64_t kPadPercent = 2;

// A vector is one row; anything else is its first dimension by the rest.
int64_t rows_of(const Shape& shape) { return shape.rank() > 1 ? shape[0] : 1; }
int64_t row_elements(const Shape& shape) {
  int64_t n = 1;
  for (int i = shape.rank() > 1 ? 1 : 0; i < shape.rank(); ++i) n *= shape[i];
  return n;
}

}  // namespace

Layout pick_layout(const Caps& caps, DType scheme, const Shape& shape) {
  if (caps.target != DeviceKind::kCpu || shape.rank() < 2 || !rows16::exists(scheme, row_elements(shape))) {
    return Layout::kFile;
  }
  int64_t out = shape[0], padded = rows16::tiles(out) * rows16::kRows;
  return (padded - out) * 100 <= out * kPadPercent ? Layout::kRows16 : Layout::kFile;
}

int64_t packed_bytes(DType scheme, Layout layout, const Shape& shape) {
  switch (layout) {
    case Layout::kFile: return rows_of(shape) * row_bytes(scheme, row_elements(shape));
    case Layout::kRows16:
      check(shape.rank() >= 2 && rows16::exists(scheme, row_elements(shape)),
            "rows16 holds matrices of a scheme it knows");
      return rows16::tiles(shape[0]) * rows16::tile_bytes(scheme, row_elements(shape));
  }
  check(false, "a known layout");
  return 0;
}

int64_t row_tile(Layout layout) { return layout == Layout::kRows16 ? rows16::kRows : 1; }

void pack_rows(DType scheme, Layout layout, const Shape& shape, int64_t first_row, int64_t n_rows,
               const std::byte* file_rows, std::byte* packed) {
  int64_t out = rows_of(shape), in = row_elements(shape), file_row = row_bytes(scheme, in);
  check(first_row >= 0 && n_rows >= 0 && first_row + n_rows <= out, "packed rows lie within the weight");
  if (layout == Layout::kFile) {
    std::copy_n(file_rows, n_rows * file_row, packed + first_row * file_row);
    return;
  }
  check(first_row % rows16::kRows == 0 && (n_rows % rows16::kRows == 0 || first_row + n_rows == out),
        "rows are packed in whole tiles");
  for (int64_t row = 0; row < n_rows; row += rows16::kRows) {
    int in_tile = static_cast<int>(std::min<int64_t>(rows16::kRows, n_rows - row));
    rows16::pack_tile(scheme, in, in_tile, file_rows + row * file_row,
                      packed + (first_row + row) / rows16::kRows * rows16::tile_bytes(scheme, in));
  }
}

void unpack_row(const Weight& weight, int64_t row, float* out) {
  int64_t in = row_elements(weight.shape);
  check(row >= 0 && row < rows_of(weight.shape), "the row lies within the weight");
  const std::byte* data = weight.data.raw();
  if (weight.layout == Layout::kFile) {
    quant::decode_row(weight.scheme, data + row * row_bytes(weight.scheme, in), out, in);
    return;
  }
  rows16::unpack_row(weight.scheme, in, data + row / rows16::kRows * rows16::tile_bytes(weight.scheme, in),
                     static_cast<int>(row % rows16::kRows), out);
}

}  // namespace hearth
