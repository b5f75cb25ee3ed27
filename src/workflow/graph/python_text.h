// Texts and conversions as Python gives them, because ComfyUI's error objects carry them and clients compare them.
#pragma once
#include <string>

#include "core/base/result.h"
#include "core/base/value.h"

namespace hearth::workflow {

/// str(value) and repr(value).
std::string python_str(const Value& value);
std::string python_repr(const Value& value);
/// "str", "int", "dict", "NoneType".
std::string python_type_name(const Value& value);

/// int(value): truncates numbers, parses integer texts. The error's message is Python's.
Result<Value> python_int(const Value& value);
/// float(value); not-a-number is refused.
Result<Value> python_float(const Value& value);
/// bool(value).
bool python_truth(const Value& value);

/// a < b for any two numbers, exact for 64-bit integers.
bool number_less(const Value& a, const Value& b);

}  // namespace hearth::workflow
