// NodeValue: one value on its way from a node's output to another node's input: a literal (INT, FLOAT, STRING, BOOLEAN
// and combos as a Value) or a handle on a tensor, latent, model and so on. Immutable and shared; copying copies a
// handle. Each knows about how many bytes it keeps alive, so that the cache can be bounded.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <typeindex>
#include <utility>
#include <vector>

#include "core/base/error.h"
#include "core/base/value.h"

namespace hearth::workflow {

class NodeValue {
 public:
  /// Nothing: what an unconnected or lazily skipped input carries.
  NodeValue() = default;
  NodeValue(Value literal) : NodeValue(of(std::move(literal))) {}  // NOLINT: implicit on purpose

  /// `keeps_model`: the value holds weights in memory, which the engine cannot drop before this is gone.
  template <class T>
  static NodeValue of(T value, int64_t bytes = 0, bool keeps_model = false) {
    NodeValue made;
    made.held_ = std::make_shared<const T>(std::move(value));
    made.type_ = typeid(T);
    made.bytes_ = bytes;
    made.keeps_model_ = keeps_model;
    return made;
  }

  explicit operator bool() const { return held_ != nullptr; }
  template <class T>
  bool is() const {
    return held_ && type_ == std::type_index(typeid(T));
  }
  /// kInvalidArgument when the value is of another kind.
  template <class T>
  const T& as() const {
    if (!is<T>()) throw Error(Code::kInvalidArgument, "a value of another type arrived here");
    return *static_cast<const T*>(held_.get());
  }
  const Value* literal() const { return is<Value>() ? &as<Value>() : nullptr; }

  int64_t bytes() const { return bytes_; }
  bool keeps_model() const { return keeps_model_; }
  /// Equal for copies of one value only.
  const void* identity() const { return held_.get(); }

 private:
  std::shared_ptr<const void> held_;
  std::type_index type_ = typeid(void);
  int64_t bytes_ = 0;
  bool keeps_model_ = false;
};

/// What travels over one link: usually one value, several after a node that gives lists.
using NodeValues = std::vector<NodeValue>;

}  // namespace hearth::workflow
