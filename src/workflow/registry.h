// Registry: every class of node this server has. A NodeType is declared once, with its inputs, defaults, ranges and
// help; /object_info, validation, execution and docs/nodes.md read the same declaration. Immutable after it is built
// and read from any thread. Functions of a NodeType hold no state of their own: what they need comes in their
// arguments.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/value.h"

namespace hearth::workflow {

class NodeCall;
struct NodeResult;
struct Places;

/// Names for a combo, asked for when they are needed: files of a model folder, files of the input folder.
using Choices = std::function<std::vector<std::string>(const Places&)>;

struct InputSpec {
  enum class Kind { kRequired, kOptional, kHidden };

  std::string name;
  std::string type;  // INT, FLOAT, STRING, BOOLEAN, COMBO, or a socket: MODEL, "A,B", "*"; hidden: PROMPT and so on
  Kind kind = Kind::kRequired;
  Value options = Value::object();   // default, min, max, step, round, multiline, tooltip and so on, as /object_info
  std::vector<std::string> choices;  // COMBO; `choices_now` replaces it where set
  Choices choices_now;

  // For declaring: each gives the changed spec back.
  InputSpec with(std::string_view option, Value value) &&;
  InputSpec help(std::string_view text) && { return std::move(*this).with("tooltip", text); }
  InputSpec optional() &&;
  InputSpec lazy() && { return std::move(*this).with("lazy", true); }

  bool is_combo() const { return type == "COMBO"; }
  std::vector<std::string> choices_of(const Places& places) const;
};

/// Ranges as ComfyUI writes them; min equal to max says there is none.
struct IntRange {
  int64_t value = 0, min = 0, max = 0, step = 0;  // step 0: not said
};
struct FloatRange {
  double value = 0, min = 0, max = 0, step = 0;
  double round = 0;  // 0: not said
};
InputSpec socket(std::string_view name, std::string_view type);
InputSpec integer(std::string_view name, IntRange range);
InputSpec seed(std::string_view name);
InputSpec number(std::string_view name, FloatRange range);
InputSpec text(std::string_view name, std::optional<std::string_view> value = std::nullopt);
InputSpec long_text(std::string_view name);  // multiline, with {a|b} wildcards expanded by the frontend
InputSpec boolean(std::string_view name, bool value);
InputSpec choice(std::string_view name, std::vector<std::string> choices);
/// Files of a model folder such as "checkpoints".
InputSpec model_file(std::string_view name, std::string_view folder);
InputSpec hidden(std::string_view name, std::string_view type);

struct OutputSpec {
  std::string type;
  std::string name;  // empty: the type
  bool is_list = false;
  std::string tooltip;
};

struct NodeType {
  std::string class_name;
  std::string display_name;  // empty: the class name
  std::string category = "sd";
  std::string description;
  std::string python_module = "nodes";  // where ComfyUI has it; the frontend derives a badge from it
  std::vector<InputSpec> inputs = {};   // required, optional, hidden, in the order of the widgets
  std::vector<OutputSpec> outputs = {};
  bool is_output = false;
  bool is_deprecated = false;
  bool is_experimental = false;
  bool takes_lists = false;      // INPUT_IS_LIST: one call with whole lists
  bool is_not_idempotent = false;  // cached only for the node with the same id
  std::vector<std::string> search_aliases = {};

  std::function<NodeResult(NodeCall&)> run = {};
  /// For inputs declared lazy: which of them this call needs, given those that are there. Asked before run().
  std::function<std::vector<std::string>(NodeCall&)> needs = {};
  /// IS_CHANGED: a value that changes when the node must run again though its inputs are equal; nothing: always run.
  /// Gets the literal inputs only.
  std::function<std::optional<Value>(const Places&, const Value& literals)> fingerprint = {};
  /// The node's own check of `own_checks` inputs, whose range and choices are then not checked; gets literals only.
  /// Returns what is wrong, or nothing.
  std::vector<std::string> own_checks = {};
  std::function<std::optional<std::string>(const Places&, const Value& literals)> validate = {};

  const InputSpec* input(std::string_view name) const;
  bool checks_itself(std::string_view input) const;
};

class Registry {
 public:
  /// A class name added twice is a bug.
  void add(NodeType type);
  /// Gives every input without a tooltip the one `help` has for it, if it has one.
  void explain(const std::function<std::string_view(const NodeType&, const InputSpec&)>& help);
  /// nullptr when there is no such class. Lives as long as the registry.
  const NodeType* find(std::string_view class_name) const;
  std::vector<const NodeType*> all() const;  // in the order they were added

 private:
  std::map<std::string, NodeType, std::less<>> types_;
  std::vector<const NodeType*> order_;
};

/// Every node Hearth has.
Registry native_registry();

/// GET /object_info and /object_info/{class}: combos are asked for now.
Value object_info(const Registry& registry, const Places& places);
Value object_info(const NodeType& type, const Places& places);
/// The [type, options] pair of one input as ComfyUI shows it.
Value input_config(const InputSpec& input, const Places& places);

}  // namespace hearth::workflow
