// What the names in a pickle ("torch._utils", "_rebuild_tensor_v2") mean here. A table: nothing is looked up anywhere.
#pragma once
#include <cstdint>
#include <optional>
#include <string_view>

#include "core/tensor/dtype.h"

namespace hearth::pickle {

enum class Meaning : uint8_t {
  kEmpty,  // harmless beside tensors; whatever is made of it is an empty value
  kDict,
  kList,
  kTuple,
  kSet,
  kEncode,  // _codecs.encode: how protocol 2 spells bytes
  kStorage,
  kElementType,
  kTensor,           // (storage, offset, shape, strides, ...)
  kTypedTensor,      // the same with the element type behind two more
  kParameter,        // (tensor, ...)
  kRebuild,          // (function, type, arguments, state)
};

struct Global {
  Meaning meaning = Meaning::kEmpty;
  DType type = DType::kCount;  // of kStorage and kElementType; kCount: bytes of no type
};

/// Nothing when the name is refused.
std::optional<Global> find_global(std::string_view module, std::string_view name);

}  // namespace hearth::pickle
