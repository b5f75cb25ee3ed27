// One line of JSON in, one line of JSON out: how the tests under tests/oracle reach the text module. Each family of
// operations lies in its own probe_*.cpp and offers one function here.
#pragma once
#include <optional>
#include <string_view>

#include "core/base/value.h"

namespace hearth::probe {

/// The reply to a request of this family, or nothing when the family has no such op. Throws Error for a bad request.
std::optional<Value> tokenizer_op(std::string_view op, const Value& request);

}  // namespace hearth::probe
