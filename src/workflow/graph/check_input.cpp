#include "workflow/graph/check_input.h"

#include <algorithm>

#include <fmt/format.h>

#include "workflow/files/places.h"
#include "workflow/graph/python_text.h"

namespace hearth::workflow {
namespace {

constexpr size_t kShownChoices = 20;  // longer lists are not sent back

Result<Value> converted(const InputSpec& input, const Value& value) {
  if (input.type == "INT") return python_int(value);
  if (input.type == "FLOAT") return python_float(value);
  if (input.type == "STRING") return Value(python_str(value));
  if (input.type == "BOOLEAN") return Value(python_truth(value));
  return value;
}

Value about(const InputSpec& input, const Value& received, ShownInputs& shown) {
  return Value::object(
      {{"input_name", input.name}, {"input_config", shown.config(input)}, {"received_value", received}});
}

std::optional<Value> range_error(const InputSpec& input, const Value& value, ShownInputs& shown) {
  if (!value.is_number()) return std::nullopt;
  const Value *min = input.options.find("min"), *max = input.options.find("max");
  if (min && number_less(value, *min)) {
    return input_error("value_smaller_than_min",
                       fmt::format("Value {} smaller than min of {}", python_str(value), python_str(*min)), input.name,
                       about(input, value, shown));
  }
  if (max && number_less(*max, value)) {
    return input_error("value_bigger_than_max",
                       fmt::format("Value {} bigger than max of {}", python_str(value), python_str(*max)), input.name,
                       about(input, value, shown));
  }
  return std::nullopt;
}

std::optional<Value> choice_error(const InputSpec& input, const Value& value, ShownInputs& shown) {
  if (!input.is_combo() || input.options.find("remote")) return std::nullopt;
  const std::vector<std::string>& choices = shown.choices(input);
  if (value.is_string() && std::find(choices.begin(), choices.end(), value.as_string()) != choices.end()) {
    return std::nullopt;
  }
  bool is_long = choices.size() > kShownChoices;
  Value names = Value::list();
  for (const std::string& name : choices) names.push(name);
  std::string among = is_long ? fmt::format("(list of length {})", choices.size()) : python_repr(names);
  Value extra = about(input, value, shown);
  if (is_long) extra.set("input_config", nullptr);
  return input_error("value_not_in_list", "Value not in list",
                     fmt::format("{}: '{}' not in {}", input.name, python_str(value), among), std::move(extra));
}

// The comma-separated parts of a union type without spaces around them.
std::vector<std::string_view> parts_of(std::string_view type) {
  std::vector<std::string_view> parts;
  while (true) {
    size_t comma = std::min(type.find(','), type.size());
    std::string_view part = type.substr(0, comma);
    while (part.starts_with(' ')) part.remove_prefix(1);
    while (part.ends_with(' ')) part.remove_suffix(1);
    parts.push_back(part);
    if (comma == type.size()) return parts;
    type.remove_prefix(comma + 1);
  }
}

}  // namespace

const std::vector<std::string>& ShownInputs::choices(const InputSpec& input) {
  auto found = choices_.find(&input);
  if (found == choices_.end()) found = choices_.emplace(&input, input.choices_of(places_)).first;
  return found->second;
}

Value ShownInputs::config(const InputSpec& input) {
  if (!input.is_combo()) return Value(Value::List{input.type, input.options});
  Value names = Value::list();
  for (const std::string& name : choices(input)) names.push(name);
  return Value(Value::List{std::move(names), input.options});
}

Value input_error(std::string_view type, std::string message, std::string details, Value extra_info) {
  return Value::object({{"type", type},
                        {"message", std::move(message)},
                        {"details", std::move(details)},
                        {"extra_info", std::move(extra_info)}});
}

CheckedInput check_literal(const InputSpec& input, const Value& value, bool is_own, ShownInputs& shown) {
  CheckedInput checked;
  const Value* wrapped = value.find("__value__");
  checked.value = wrapped ? *wrapped : value;
  Result<Value> plain = converted(input, checked.value);
  if (!plain) {
    const std::string& reason = plain.error().message();
    Value extra = about(input, checked.value, shown);
    extra.set("exception_message", reason);
    checked.error =
        input_error("invalid_input_type", fmt::format("Failed to convert an input value to a {} value", input.type),
                    fmt::format("{}, {}, {}", input.name, python_str(checked.value), reason), std::move(extra));
    return checked;
  }
  checked.value = *plain;
  if (is_own) return checked;
  checked.error = range_error(input, checked.value, shown);
  if (!checked.error) checked.error = choice_error(input, checked.value, shown);
  return checked;
}

bool types_meet(std::string_view given, std::string_view wanted) {
  if (given == wanted) return true;
  std::vector<std::string_view> theirs = parts_of(wanted);
  for (std::string_view mine : parts_of(given)) {
    if (mine == "*") return true;
    for (std::string_view other : theirs) {
      if (other == "*" || mine == other) return true;
    }
  }
  return false;
}

}  // namespace hearth::workflow
