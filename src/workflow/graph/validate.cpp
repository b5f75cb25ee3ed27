#include "workflow/graph/validate.h"

#include <algorithm>
#include <unordered_map>
#include <variant>

#include <fmt/format.h>

#include "workflow/graph/check_input.h"
#include "workflow/graph/python_text.h"

namespace hearth::workflow {
namespace {

constexpr size_t kShownCycle = 100;  // a longer cycle is told at its first node only

// What Python would have raised where ComfyUI trips over a malformed link.
struct Raised {
  std::string type, message;
};

// One node while it is looked at or after.
struct NodeState {
  enum class Phase { kUnseen, kOpen, kDone };
  Phase phase = Phase::kUnseen;
  bool is_valid = true;
  Value errors = Value::list();
  std::vector<size_t> ancestors;  // direct
};

// The walk from outputs to their ancestors, with a stack of its own instead of recursion.
class Walk {
 public:
  Walk(Graph& graph, const Registry& registry, const Places& places)
      : graph_(graph), places_(places), shown_(places), ids_(graph.ids()), states_(ids_.size()) {
    for (size_t i = 0; i < ids_.size(); ++i) {
      position_of_[ids_[i]] = i;
      types_.push_back(registry.find(graph.class_of(ids_[i])));
    }
  }

  const NodeState& visit(size_t root);
  const std::vector<std::string>& ids() const { return ids_; }
  const NodeType& type_of(size_t node) const { return *types_[node]; }
  const NodeState& state_of(size_t node) const { return states_[node]; }
  /// Nodes with errors among `root` and its ancestors.
  std::vector<size_t> failed_below(size_t root) const;

 private:
  struct Frame {
    size_t node;
    size_t next_input = 0;
    const InputSpec* followed = nullptr;  // the input whose link is being looked at
  };

  void step(std::vector<Frame>& stack);
  bool look_at(Frame& frame, const InputSpec& input, std::vector<Frame>& stack);
  bool follow(Frame& frame, const InputSpec& input, const Value& link, std::vector<Frame>& stack);
  void raise(std::vector<Frame>& stack, const Raised& raised);
  void close_cycle(const std::vector<Frame>& stack, size_t node);
  void check_own(Frame& frame);
  void finish(Frame& frame);
  void fail(size_t node, Value error) { states_[node].errors.push(std::move(error)); }
  std::variant<size_t, Raised> linked_node(const Value& link) const;
  std::variant<const OutputSpec*, Raised> linked_output(size_t node, const Value& slot) const;

  Graph& graph_;
  const Places& places_;
  ShownInputs shown_;
  std::vector<std::string> ids_;
  std::vector<NodeState> states_;
  std::vector<const NodeType*> types_;
  std::unordered_map<std::string, size_t> position_of_;
};

const NodeState& Walk::visit(size_t root) {
  if (states_[root].phase == NodeState::Phase::kUnseen) {
    std::vector<Frame> stack{{root}};
    states_[root].phase = NodeState::Phase::kOpen;
    while (!stack.empty()) step(stack);
  }
  return states_[root];
}

// Looks at inputs of the top node until one needs another node first or none is left.
void Walk::step(std::vector<Frame>& stack) {
  size_t node = stack.back().node;
  if (!graph_.inputs(ids_[node])) return raise(stack, {"KeyError", "'inputs'"});
  const std::vector<InputSpec>& inputs = types_[node]->inputs;
  while (stack.back().next_input < inputs.size()) {
    const InputSpec& input = inputs[stack.back().next_input++];
    if (input.kind != InputSpec::Kind::kHidden && !look_at(stack.back(), input, stack)) return;
  }
  check_own(stack.back());
  finish(stack.back());
  stack.pop_back();
}

// Returns whether the same node goes on.
bool Walk::look_at(Frame& frame, const InputSpec& input, std::vector<Frame>& stack) {
  const std::string& id = ids_[frame.node];
  const Value* value = graph_.inputs(id)->find(input.name);
  if (!value) {
    if (input.kind == InputSpec::Kind::kRequired) {
      fail(frame.node, input_error("required_input_missing", "Required input is missing", input.name,
                                   Value::object({{"input_name", input.name}})));
    }
    return true;
  }
  if (value->is_list()) return follow(frame, input, *value, stack);
  CheckedInput checked = check_literal(input, *value, types_[frame.node]->checks_itself(input.name), shown_);
  if (!(checked.value == *value)) graph_.set_input(id, input.name, checked.value);
  if (checked.error) fail(frame.node, std::move(*checked.error));
  return true;
}

bool Walk::follow(Frame& frame, const InputSpec& input, const Value& link, std::vector<Frame>& stack) {
  if (link.size() != 2) {
    fail(frame.node,
         input_error(
             "bad_linked_input", "Bad linked input, must be a length-2 list of [node_id, slot_index]", input.name,
             Value::object(
                 {{"input_name", input.name}, {"input_config", shown_.config(input)}, {"received_value", link}})));
    return true;
  }
  auto source = linked_node(link);
  if (auto* raised = std::get_if<Raised>(&source)) return raise(stack, *raised), false;
  size_t from = std::get<size_t>(source);
  auto output = linked_output(from, link.as_list()[1]);
  if (auto* raised = std::get_if<Raised>(&output)) return raise(stack, *raised), false;
  const std::string& given = std::get<const OutputSpec*>(output)->type;
  if (!types_meet(given, input.type)) {
    Value wanted = shown_.config(input).as_list()[0];
    fail(frame.node, input_error("return_type_mismatch", "Return type mismatch between linked nodes",
                                 fmt::format("{}, received_type({}) mismatch input_type({})", input.name, given,
                                             python_str(wanted)),
                                 Value::object({{"input_name", input.name},
                                                {"input_config", shown_.config(input)},
                                                {"received_type", given},
                                                {"linked_node", link}})));
    return true;
  }
  states_[frame.node].ancestors.push_back(from);
  NodeState& source_state = states_[from];
  if (source_state.phase == NodeState::Phase::kUnseen) {
    source_state.phase = NodeState::Phase::kOpen;
    frame.followed = &input;
    stack.push_back({from});
    return false;
  }
  if (source_state.phase == NodeState::Phase::kOpen) close_cycle(stack, from);
  if (!source_state.is_valid) states_[frame.node].is_valid = false;
  return true;
}

std::variant<size_t, Raised> Walk::linked_node(const Value& link) const {
  const Value& id = link.as_list()[0];
  if (id.is_list() || id.is_object()) {
    return Raised{"TypeError", fmt::format("unhashable type: '{}'", python_type_name(id))};
  }
  auto found = id.is_string() ? position_of_.find(id.as_string()) : position_of_.end();
  if (found == position_of_.end()) return Raised{"KeyError", python_repr(id)};
  return found->second;
}

std::variant<const OutputSpec*, Raised> Walk::linked_output(size_t node, const Value& slot) const {
  const std::vector<OutputSpec>& outputs = types_[node]->outputs;
  if (!slot.is_integer()) {
    return Raised{"TypeError", fmt::format("tuple indices must be integers or slices, not {}", python_type_name(slot))};
  }
  bool is_inside =
      slot.kind() == Value::Kind::kInt && slot.as_int() >= 0 && slot.as_int() < static_cast<int64_t>(outputs.size());
  if (!is_inside) return Raised{"IndexError", "tuple index out of range"};
  return &outputs[static_cast<size_t>(slot.as_int())];
}

// The top node cannot be looked at any further: it fails in the words of whoever asked for it.
void Walk::raise(std::vector<Frame>& stack, const Raised& raised) {
  Frame failed = stack.back();
  stack.pop_back();
  Value extra = Value::object({{"exception_type", raised.type}, {"traceback", Value::list()}});
  std::string type = "exception_during_validation", message = "Exception when validating node";
  if (!stack.empty()) {
    const InputSpec& input = *stack.back().followed;
    type = "exception_during_inner_validation";
    message = "Exception when validating inner node";
    extra.set("input_name", input.name);
    extra.set("input_config", shown_.config(input));
    extra.set("exception_message", raised.message);
    extra.set("linked_node", *graph_.inputs(ids_[stack.back().node])->find(input.name));
    states_[stack.back().node].is_valid = false;
  }
  NodeState& state = states_[failed.node];
  state.errors = Value(Value::List{input_error(type, message, raised.message, std::move(extra))});
  state.is_valid = false;
  state.phase = NodeState::Phase::kDone;
}

// The top of the stack links to `node` further down: every node between is part of the cycle.
void Walk::close_cycle(const std::vector<Frame>& stack, size_t node) {
  size_t from = stack.size();
  while (from > 0 && stack[from - 1].node != node) --from;
  std::string path;
  Value members = Value::list();
  for (size_t i = from - 1; i < stack.size(); ++i) {
    path += fmt::format("{} ({}) -> ", ids_[stack[i].node], types_[stack[i].node]->class_name);
    members.push(ids_[stack[i].node]);
  }
  path += fmt::format("{} ({})", ids_[node], types_[node]->class_name);
  for (size_t i = from - 1; i < stack.size(); ++i) {
    fail(stack[i].node, input_error("dependency_cycle", "Dependency cycle detected", path,
                                    Value::object({{"node_id", ids_[stack[i].node]}, {"cycle_nodes", members}})));
    states_[stack[i].node].is_valid = false;
    if (stack.size() - from > kShownCycle) break;
  }
}

// The node's own check, once for all of its literals.
void Walk::check_own(Frame& frame) {
  const NodeType& type = *types_[frame.node];
  if (!type.validate) return;
  Value literals = Value::object();
  for (const auto& [name, value] : graph_.inputs(ids_[frame.node])->as_object()) {
    if (type.input(name) && !value.is_list()) literals.set(name, value);
  }
  std::optional<std::string> problem = type.validate(places_, literals);
  if (!problem) return;
  for (const std::string& name : type.own_checks) {
    if (!literals.find(name)) continue;
    fail(frame.node, input_error("custom_validation_failed", "Custom validation failed for node",
                                 problem->empty() ? name : fmt::format("{} - {}", name, *problem),
                                 Value::object({{"input_name", name}})));
  }
}

void Walk::finish(Frame& frame) {
  NodeState& state = states_[frame.node];
  state.phase = NodeState::Phase::kDone;
  for (size_t from : state.ancestors) state.is_valid = state.is_valid && states_[from].is_valid;
  if (state.errors.size() > 0) state.is_valid = false;
}

std::vector<size_t> Walk::failed_below(size_t root) const {
  std::vector<size_t> failed, open{root};
  std::vector<bool> is_seen(states_.size());
  is_seen[root] = true;
  while (!open.empty()) {
    size_t node = open.back();
    open.pop_back();
    if (states_[node].errors.size() > 0) failed.push_back(node);
    for (size_t from : states_[node].ancestors) {
      if (!is_seen[from]) open.push_back(from);
      is_seen[from] = true;
    }
  }
  return failed;
}

Value top_error(std::string_view type, std::string message, std::string details, Value extra = Value::object()) {
  return input_error(type, std::move(message), std::move(details), std::move(extra));
}

// A node without a class or with one that is not here.
Value missing_node(const Graph& graph, const std::string& id, const Registry& registry) {
  std::string name = graph.class_of(id);
  std::optional<std::string> title = graph.title_of(id);
  Value extra = Value::object({{"node_id", id}, {"class_type", nullptr}, {"node_title", nullptr}});
  if (title) extra.set("node_title", *title);
  std::string details = fmt::format("Node ID '#{}'", id);
  if (name.empty()) {
    return top_error("missing_node_type",
                     fmt::format("Node '{}' has no class_type. The workflow may be corrupted or a custom node is "
                                 "missing.",
                                 title ? *title : "ID #" + id),
                     details, std::move(extra));
  }
  extra.set("class_type", name);
  std::string message =
      fmt::format("Node '{}' not found. The custom node may not be installed.", title ? *title : name);
  MissingClass missing = describe_missing(name, registry);
  if (!missing.purpose.empty()) {
    message = fmt::format("Node '{}' not found: {} is one of ComfyUI's nodes for {}, which are not here.",
                          title ? *title : name, name, missing.purpose);
    extra.set("pack", missing.pack);
    extra.set("pack_url", missing.url);
  } else if (!missing.pack.empty()) {
    message += fmt::format(" {} comes from the pack {} ({}).", name, missing.pack, missing.url);
    extra.set("pack", missing.pack);
    extra.set("pack_url", missing.url);
  }
  if (!missing.nearest.empty()) {
    message += fmt::format(" The nearest node here is {}.", missing.nearest);
    extra.set("nearest", missing.nearest);
  }
  return top_error("missing_node_type", message, details, std::move(extra));
}

void add_node_errors(const Walk& walk, const std::string& output, const std::vector<size_t>& failed, Value& all) {
  for (size_t node : failed) {
    const std::string& id = walk.ids()[node];
    if (!all.find(id)) {
      all.set(id, Value::object({{"errors", walk.state_of(node).errors},
                                 {"dependent_outputs", Value::list()},
                                 {"class_type", walk.type_of(node).class_name}}));
    }
    all.find(id)->find("dependent_outputs")->push(output);
  }
}

}  // namespace

Verdict validate(Graph& graph, const Registry& registry, const Places& places,
                 const std::optional<std::vector<std::string>>& targets) {
  Verdict verdict;
  Walk walk(graph, registry, places);
  std::vector<size_t> outputs;
  for (size_t i = 0; i < walk.ids().size(); ++i) {
    const std::string& id = walk.ids()[i];
    const NodeType* type = registry.find(graph.class_of(id));
    if (!type) return verdict.error = missing_node(graph, id, registry), verdict;
    bool is_target = !targets || std::find(targets->begin(), targets->end(), id) != targets->end();
    if (type->is_output && is_target) outputs.push_back(i);
  }
  if (outputs.empty()) return verdict.error = top_error("prompt_no_outputs", "Prompt has no outputs", ""), verdict;

  std::string problems;
  for (size_t output : outputs) {
    const NodeState& state = walk.visit(output);
    const std::string& id = walk.ids()[output];
    if (state.is_valid) {
      verdict.outputs.push_back(id);
      continue;
    }
    add_node_errors(walk, id, walk.failed_below(output), verdict.node_errors);
    for (const Value& error : state.errors.as_list()) {
      problems += fmt::format("{}{}: {}", problems.empty() ? "" : "\n", error.at("message").as_string(),
                              error.at("details").as_string());
    }
  }
  verdict.is_valid = !verdict.outputs.empty();
  if (!verdict.is_valid) {
    verdict.error = top_error("prompt_outputs_failed_validation", "Prompt outputs failed validation", problems);
  }
  return verdict;
}

}  // namespace hearth::workflow
