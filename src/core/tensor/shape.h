// Shape: up to six dimensions held inline, outermost first; the last one is contiguous in memory unless strides say
// otherwise. Strides are in elements.
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "core/base/check.h"

namespace hearth {

inline constexpr int kMaxRank = 6;

class Shape {
 public:
  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) {
    check(dims.size() <= kMaxRank, "a shape has at most six dimensions");
    for (int64_t d : dims) dims_[rank_++] = d;
  }

  int rank() const { return rank_; }
  /// Size of dimension i; negative i counts from the end.
  int64_t operator[](int i) const { return dims_[index(i)]; }
  int64_t& operator[](int i) { return dims_[index(i)]; }
  void append(int64_t dim) {
    check(rank_ < kMaxRank, "a shape has at most six dimensions");
    dims_[rank_++] = dim;
  }
  int64_t numel() const {
    int64_t n = 1;
    for (int i = 0; i < rank_; ++i) n *= dims_[i];
    return n;
  }
  std::string text() const;  // "[2, 3]"

  friend bool operator==(const Shape& a, const Shape& b) {
    if (a.rank_ != b.rank_) return false;
    for (int i = 0; i < a.rank_; ++i) {
      if (a.dims_[i] != b.dims_[i]) return false;
    }
    return true;
  }

 private:
  int index(int i) const {
    int at = i < 0 ? i + rank_ : i;
    check(at >= 0 && at < rank_, "dimension index within rank");
    return at;
  }
  std::array<int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

using Strides = std::array<int64_t, kMaxRank>;

/// Row-major strides of a shape.
Strides contiguous_strides(const Shape& shape);

}  // namespace hearth
