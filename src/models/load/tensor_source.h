// TensorSource: the tensors of one network by the names its bind code uses, wherever and however files hold them. A
// weight need not be a whole tensor: fused projections hold several, some matrices are stored transposed.
// Implementations are immutable and outlive the Weights that read from them.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "formats/tensor_file.h"

namespace hearth {

/// Where the values of a weight lie.
struct Located {
  const TensorInfo* tensor = nullptr;  // null: there is no such weight
  int64_t first = 0, count = 0;        // entries of the tensor's first axis; count 0: all of them
  bool is_transposed = false;          // the file holds a matrix [out, in] as [in, out]

  explicit operator bool() const { return tensor != nullptr; }
  /// Of the weight: the part of the tensor that is meant, turned as bind code wants it.
  std::vector<int64_t> shape() const;
  int64_t elements() const;
};

class TensorSource {
 public:
  virtual ~TensorSource() = default;
  virtual const TensorFile& file() const = 0;
  /// What errors call the file.
  virtual const std::string& path() const = 0;
  virtual Located find(std::string_view name) const = 0;
  /// What the file would call the tensor, for messages about one that is missing.
  virtual std::string name_in_file(std::string_view name) const = 0;
};

/// The axes of a tensor with trailing ones dropped down to two: a 1x1 convolution [O, I, 1, 1] is the matrix [O, I].
std::vector<int64_t> as_matrix(std::vector<int64_t> shape);

/// All values of a small tensor as float32: markers, embeddings, adapters. Throws Error{kIo, kCorruptFile,
/// kUnsupported} naming the tensor.
std::vector<float> read_values(const TensorFile& file, const TensorInfo& tensor);

}  // namespace hearth
