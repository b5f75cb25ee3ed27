// The pickle machine: reads opcodes of protocols 2 to 5 and builds a tree of plain values, tensors and their storages.
// It calls nothing. Values are nodes in one list and name each other by index, so that what a file shares stays shared.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/tensor/dtype.h"
#include "formats/pickle/globals.h"

namespace hearth::pickle {

using Id = uint32_t;

enum class Kind : uint8_t {
  kNull,
  kBool,
  kInt,
  kDouble,
  kText,
  kBytes,
  kTuple,
  kList,
  kSet,
  kDict,
  kGlobal,
  kStorage,
  kTensor,
};

struct Node {
  Kind kind = Kind::kNull;
  Global global{};  // kGlobal
  int64_t number = 0;  // kBool, kInt; the bits of a double; index of a storage or tensor; size of a refused integer
  std::string_view text{};  // kText, kBytes: borrowed from the pickle
  std::vector<Id> items{};  // kDict: key, value, key, ...
};

struct Storage {
  std::string_view key;
  DType type = DType::kCount;  // kCount: untyped, elements are bytes
  int64_t elements = 0;
};

/// Offset and strides count elements. Every element lies inside the storage.
struct TensorRef {
  uint32_t storage = 0;
  DType type = DType::kF32;
  int64_t offset = 0;
  std::vector<int64_t> shape, strides;
};

struct Program {
  std::vector<Node> nodes;
  std::vector<Storage> storages;
  std::vector<TensorRef> tensors;
  Id result = 0;
  size_t bytes_read = 0;

  const Node& node(Id id) const { return nodes[id]; }
};

/// Up to the first STOP. `budget` bounds the bytes of all nodes, `name` is the path used in errors. The program borrows
/// `pickle`.
Program run(std::string_view pickle, int64_t budget, const std::string& name);

}  // namespace hearth::pickle
