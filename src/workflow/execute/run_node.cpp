#include "workflow/execute/run_node.h"

#include <algorithm>

#include <fmt/format.h>

namespace hearth::workflow {
namespace {

size_t calls_of(const NodeType& type, const ArrivedInputs& inputs) {
  if (type.takes_lists || inputs.empty()) return 1;
  size_t longest = 0;
  for (const auto& [name, values] : inputs) longest = std::max(longest, values.size());
  for (const auto& [name, values] : inputs) {
    if (values.empty()) throw Error(Code::kInvalidArgument, fmt::format("input '{}' got an empty list", name));
  }
  return longest;
}

// The inputs of call `index`: shorter lists repeat their last element.
NodeCall::Inputs inputs_of_call(const NodeType& type, const ArrivedInputs& inputs, size_t index) {
  NodeCall::Inputs picked;
  for (const auto& [name, values] : inputs) {
    if (type.takes_lists) {
      picked.by_name.emplace_back(name, values);
    } else {
      picked.by_name.emplace_back(name, NodeValues{values[std::min(index, values.size() - 1)]});
    }
  }
  return picked;
}

void append(NodeResult& all, NodeResult one, const NodeType& type) {
  if (one.outputs.size() > type.outputs.size()) throw Error::bug(type.class_name + " gave more outputs than declared");
  one.outputs.resize(type.outputs.size());
  all.outputs.resize(type.outputs.size());
  for (size_t i = 0; i < one.outputs.size(); ++i) {
    NodeValues& values = all.outputs[i];
    values.insert(values.end(), one.outputs[i].begin(), one.outputs[i].end());
  }
  if (one.ui.is_null()) return;
  if (all.ui.is_null()) {
    all.ui = std::move(one.ui);
    return;
  }
  for (auto& [key, shown] : all.ui.as_object()) {
    const Value* more = one.ui.find(key);
    if (!more || !more->is_list() || !shown.is_list()) continue;
    for (const Value& item : more->as_list()) shown.push(item);
  }
}

}  // namespace

NodeResult run_node(const NodeType& type, const ArrivedInputs& inputs, const NodeCall::About& about,
                    NodeServices& services, CallWatch& watch) {
  NodeResult all;
  size_t calls = calls_of(type, inputs);
  for (size_t i = 0; i < calls; ++i) {
    if (watch.is_cancelled()) throw Error(Code::kCancelled, "interrupted");
    NodeCall call(type, inputs_of_call(type, inputs, i), about, services, watch);
    append(all, type.run(call), type);
  }
  return all;
}

std::vector<std::string> needed_inputs(const NodeType& type, const ArrivedInputs& inputs, const NodeCall::About& about,
                                       NodeServices& services, CallWatch& watch) {
  std::vector<std::string> missing;
  if (!type.needs) return missing;
  size_t calls = calls_of(type, inputs);
  for (size_t i = 0; i < calls; ++i) {
    NodeCall call(type, inputs_of_call(type, inputs, i), about, services, watch);
    for (const std::string& name : type.needs(call)) {
      bool is_there = std::any_of(inputs.begin(), inputs.end(), [&](const auto& input) { return input.first == name; });
      if (!is_there) missing.push_back(name);
    }
  }
  return missing;
}

}  // namespace hearth::workflow
