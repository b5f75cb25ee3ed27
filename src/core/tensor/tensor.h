// Tensor: a small value handle on a Storage: dtype, shape, strides, byte offset. Copying a Tensor copies the handle.
// On Meta it has everything but bytes. Kernels take a View: what a Tensor points at, without the count.
#pragma once
#include "core/tensor/dtype.h"
#include "core/tensor/shape.h"
#include "core/tensor/storage.h"

namespace hearth {

/// C++ type of a scalar DType.
template <class T> inline constexpr DType dtype_of = DType::kCount;
template <> inline constexpr DType dtype_of<float> = DType::kF32;
template <> inline constexpr DType dtype_of<double> = DType::kF64;
template <> inline constexpr DType dtype_of<int32_t> = DType::kI32;
template <> inline constexpr DType dtype_of<int64_t> = DType::kI64;
template <> inline constexpr DType dtype_of<int8_t> = DType::kI8;
template <> inline constexpr DType dtype_of<uint8_t> = DType::kU8;
struct Half { uint16_t bits; };
struct BFloat16 { uint16_t bits; };
template <> inline constexpr DType dtype_of<Half> = DType::kF16;
template <> inline constexpr DType dtype_of<BFloat16> = DType::kBF16;

/// A borrowed description of a tensor's memory for a kernel; valid while the Tensor lives.
struct View {
  std::byte* data = nullptr;
  DType dtype = DType::kF32;
  Shape shape;
  Strides strides{};  // elements

  template <class T> T* as() const {
    check(dtype_of<std::remove_const_t<T>> == dtype, "kernel reads a view as another dtype");
    return reinterpret_cast<T*>(data);
  }
  int64_t rows() const { return shape.rank() ? shape.numel() / shape[-1] : 1; }
};

class Tensor {
 public:
  Tensor() = default;
  /// A contiguous tensor over storage starting `byte_offset` bytes in. Scalars only: block types live in a Weight.
  Tensor(StorageRef storage, DType dtype, Shape shape, int64_t byte_offset = 0);

  explicit operator bool() const { return static_cast<bool>(storage_); }
  DType dtype() const { return dtype_; }
  const Shape& shape() const { return shape_; }
  const Strides& strides() const { return strides_; }
  int rank() const { return shape_.rank(); }
  int64_t dim(int i) const { return shape_[i]; }
  int64_t numel() const { return shape_.numel(); }
  int64_t bytes() const { return row_bytes(dtype_, numel()); }
  bool is_contiguous() const;
  const StorageRef& storage() const { return storage_; }

  /// First byte, or null on Meta.
  std::byte* raw() const { return storage_ && storage_->data() ? storage_->data() + byte_offset_ : nullptr; }
  template <class T> T* data() const {
    check(dtype_of<std::remove_const_t<T>> == dtype_, "tensor read as another dtype");
    return reinterpret_cast<T*>(raw());
  }
  View view() const { return {raw(), dtype_, shape_, strides_}; }

  /// Same bytes, other shape; the tensor must be contiguous and the element counts equal.
  Tensor reshape(Shape shape) const;
  /// Rows [start, start+length) of dimension `dim`; shares the bytes.
  Tensor narrow(int dim, int64_t start, int64_t length) const;
  /// The same bytes as another scalar type of the same size per row (raw planes of a Weight).
  Tensor bitcast(DType dtype, Shape shape) const;

 private:
  StorageRef storage_;
  DType dtype_ = DType::kF32;
  Shape shape_;
  Strides strides_{};
  int64_t byte_offset_ = 0;
};

}  // namespace hearth
