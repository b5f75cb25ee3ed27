// The checks of one literal input: conversion to the declared type, range, membership of a combo.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "workflow/registry.h"

namespace hearth::workflow {

/// Combos and shown configs of a validation, each asked for once.
class ShownInputs {
 public:
  explicit ShownInputs(const Places& places) : places_(places) {}
  const std::vector<std::string>& choices(const InputSpec& input);
  /// [type, options].
  Value config(const InputSpec& input);

 private:
  const Places& places_;
  std::map<const InputSpec*, std::vector<std::string>> choices_;
};

/// {type, message, details, extra_info}.
Value input_error(std::string_view type, std::string message, std::string details, Value extra_info);

/// `value` converted, or the error object of the first check it fails. `is_own`: the node checks range and choices.
struct CheckedInput {
  Value value;
  std::optional<Value> error;
};
CheckedInput check_literal(const InputSpec& input, const Value& value, bool is_own, ShownInputs& shown);

/// Whether an output of type `given` may feed an input of type `wanted`: equal, "*" on a side, or unions that meet.
bool types_meet(std::string_view given, std::string_view wanted);

}  // namespace hearth::workflow
