#include <fmt/format.h>

#include "workflow/services.h"

namespace hearth::workflow {

const NodeValues* NodeCall::find(std::string_view name) const {
  for (const auto& [given, values] : inputs_.by_name) {
    if (given == name) return &values;
  }
  return nullptr;
}

bool NodeCall::has(std::string_view name) const {
  const NodeValues* values = find(name);
  return values && !values->empty() && values->front();
}

NodeValue NodeCall::value(std::string_view name) const {
  if (has(name)) return find(name)->front();
  const InputSpec* input = type_.input(name);
  const Value* value = input ? input->options.find("default") : nullptr;
  if (value) return NodeValue(*value);
  if (input && input->is_combo()) {
    std::vector<std::string> choices = input->choices_of(services_.places);
    if (!choices.empty()) return NodeValue(Value(choices[0]));
  }
  throw Error(Code::kInvalidArgument, fmt::format("input '{}' is missing", name));
}

const NodeValues& NodeCall::values(std::string_view name) const {
  static const NodeValues kNone;
  const NodeValues* values = find(name);
  return values ? *values : kNone;
}

void NodeCall::wrong_type(std::string_view name) {
  throw Error(Code::kInvalidArgument, fmt::format("input '{}' got a value of another type", name));
}

int64_t NodeCall::integer(std::string_view name) const {
  Value literal = get<Value>(name);
  return literal.is_bool() ? literal.as_bool() : literal.as_int();
}

uint64_t NodeCall::seed(std::string_view name) const {
  Value literal = get<Value>(name);
  // A negative seed counts from the top, as 64-bit arithmetic has it.
  return literal.kind() == Value::Kind::kInt ? static_cast<uint64_t>(literal.as_int()) : literal.as_uint();
}

double NodeCall::number(std::string_view name) const { return get<Value>(name).as_double(); }

bool NodeCall::flag(std::string_view name) const {
  Value literal = get<Value>(name);
  return literal.is_bool() ? literal.as_bool() : literal.is_number() && literal.as_double() != 0;
}

std::string NodeCall::text(std::string_view name) const { return get<Value>(name).as_string(); }

PictureWork& NodeCall::pictures() const {
  if (!services_.pictures) throw Error(Code::kUnsupported, "this server was started without a picture engine");
  return *services_.pictures;
}

void NodeCall::check_cancelled() const {
  if (watch_.is_cancelled()) throw Error(Code::kCancelled, "interrupted");
}

}  // namespace hearth::workflow
