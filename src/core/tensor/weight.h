// Weight: an immutable matrix as a model uses it: logical shape, scheme (how values are encoded), layout (how the
// encoded values lie in memory on this device) and the bytes. pick_layout and packed_bytes in ops/linear/layout.h are
// the only places that know which layouts exist; everything else passes Weights on.
#pragma once
#include "core/tensor/tensor.h"

namespace hearth {

enum class Layout : uint8_t {
  kFile,    // rows as the file holds them
  kRows16,  // CPU: 16 rows interleaved by groups of 4 columns, scales beside them (ops/linear/rows16.h)
};

struct Weight {
  Shape shape;                  // logical, [out, in]; [n] for a vector
  DType scheme = DType::kF32;   // encoding of the values, as the file names it
  Layout layout = Layout::kFile;
  Tensor data;                  // [packed bytes] u8; absent bytes on Meta

  int64_t out() const { return shape[0]; }
  int64_t in() const { return shape[-1]; }
  int64_t bytes() const { return data ? data.numel() : 0; }
  explicit operator bool() const { return static_cast<bool>(data); }
};

}  // namespace hearth
