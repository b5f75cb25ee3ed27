// What a weights file says about itself, whatever its format: metadata and a table of tensors. Readers fill it from
// the header alone; tensor bytes are never touched here, the loader maps or reads them by (file, offset, bytes).
// A TensorFile is a plain value: it holds no descriptor and stays valid when the files go away.
// Everything in it has been checked: every tensor lies inside its file, no two overlap, names are unique.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/value.h"
#include "core/tensor/dtype.h"
#include "formats/file_state.h"

namespace hearth {

struct TensorInfo {
  std::string name;
  DType type = DType::kF32;
  std::vector<int64_t> shape;  // row-major: shape.back() is contiguous in memory; empty for a scalar
  int file = 0;                // index into TensorFile::paths
  int64_t offset = 0;          // absolute, from the start of that file
  int64_t bytes = 0;

  int64_t elements() const;
};

struct TensorFile {
  std::vector<std::string> paths;  // one, or one per part in order
  std::vector<FileState> states;   // of the paths when their headers were read; made by seal()
  Value metadata = Value::object();
  std::vector<TensorInfo> tensors;  // in file order

  /// The tensor of that name, or nullptr. Borrowed: lives as long as `tensors` is not changed. O(log n) once the
  /// file is sealed, which every reader's result is.
  const TensorInfo* find(std::string_view name) const;

  std::vector<uint32_t> by_name;  // order of names, made by seal()
};

/// Bytes of a tensor, or nothing when a dimension is negative, the last one is not whole blocks, or the product
/// does not fit int64.
std::optional<int64_t> tensor_bytes(DType type, const std::vector<int64_t>& shape);

/// Notes the states of the files, builds the name index and makes the cross-tensor checks: kCorruptFile for a name that
/// occurs twice or two tensors that share bytes.
void seal(TensorFile& file);

/// "[2048, 576]".
std::string describe(const std::vector<int64_t>& shape);

}  // namespace hearth
