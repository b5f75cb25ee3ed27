#include "core/tensor/tensor.h"

#include <utility>

namespace hearth {

Tensor::Tensor(StorageRef storage, DType dtype, Shape shape, int64_t byte_offset)
    : storage_(std::move(storage)), dtype_(dtype), shape_(shape), strides_(contiguous_strides(shape)),
      byte_offset_(byte_offset) {
  check(!info(dtype).is_block, "a Tensor holds scalars; block types live in a Weight");
  check(byte_offset >= 0 && byte_offset + bytes() <= storage_->bytes(), "tensor lies within its storage");
}

bool Tensor::is_contiguous() const {
  int64_t step = 1;
  for (int i = rank() - 1; i >= 0; --i) {
    if (shape_[i] != 1 && strides_[i] != step) return false;
    step *= shape_[i];
  }
  return true;
}

Tensor Tensor::reshape(Shape shape) const {
  check(is_contiguous() && shape.numel() == numel(), "reshape keeps the element count of a contiguous tensor");
  Tensor out = *this;
  out.shape_ = shape;
  out.strides_ = contiguous_strides(shape);
  return out;
}

Tensor Tensor::narrow(int dim, int64_t start, int64_t length) const {
  check(start >= 0 && length >= 0 && start + length <= shape_[dim], "narrow stays within the dimension");
  int at = dim < 0 ? dim + rank() : dim;
  Tensor out = *this;
  out.shape_[at] = length;
  out.byte_offset_ += row_bytes(dtype_, start * strides_[at]);
  return out;
}

Tensor Tensor::bitcast(DType dtype, Shape shape) const {
  check(is_contiguous() && row_bytes(dtype, shape.numel()) == bytes(), "bitcast keeps the byte count");
  Tensor out = *this;
  out.dtype_ = dtype;
  out.shape_ = shape;
  out.strides_ = contiguous_strides(shape);
  return out;
}

}  // namespace hearth
