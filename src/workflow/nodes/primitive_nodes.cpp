// Literals as nodes, and showing any value as text.
#include "workflow/graph/python_text.h"
#include "workflow/nodes/common.h"

namespace hearth::workflow {
namespace {

constexpr int64_t kMaxInt = 9223372036854775807;

NodeResult same_value(NodeCall& call) { return give(call.value("value")); }

NodeResult preview_any(NodeCall& call) {
  const Value* literal = call.has("source") ? call.value("source").literal() : nullptr;
  std::string shown = literal ? python_str(*literal) : "a value that has no text";
  return {.outputs = {}, .ui = Value::object({{"text", Value(Value::List{shown})}})};
}

NodeResult switched(NodeCall& call) { return give(call.value(call.flag("switch") ? "on_true" : "on_false")); }

std::vector<std::string> wanted_side(NodeCall& call) { return {call.flag("switch") ? "on_true" : "on_false"}; }

}  // namespace

void add_primitive_nodes(Registry& registry) {
  registry.add({.class_name = "PrimitiveString",
                .display_name = "String",
                .category = "utils/primitive",
                .description = "A text.",
                .python_module = "comfy_extras.nodes_primitive",
                .inputs = {text("value")},
                .outputs = {{"STRING"}},
                .run = same_value});
  registry.add({.class_name = "PrimitiveStringMultiline",
                .display_name = "String (Multiline)",
                .category = "utils/primitive",
                .description = "A text of several lines.",
                .python_module = "comfy_extras.nodes_primitive",
                .inputs = {text("value").with("multiline", true)},
                .outputs = {{"STRING"}},
                .run = same_value});
  registry.add(
      {.class_name = "PrimitiveInt",
       .display_name = "Int",
       .category = "utils/primitive",
       .description = "A whole number.",
       .python_module = "comfy_extras.nodes_primitive",
       .inputs = {integer("value", {.value = 0, .min = -kMaxInt, .max = kMaxInt}).with("control_after_generate", true)},
       .outputs = {{"INT"}},
       .run = same_value});
  registry.add({.class_name = "PrimitiveFloat",
                .display_name = "Float",
                .category = "utils/primitive",
                .description = "A number.",
                .python_module = "comfy_extras.nodes_primitive",
                .inputs = {number("value", {.step = 0.1}).with("min", -kMaxInt).with("max", kMaxInt)},
                .outputs = {{"FLOAT"}},
                .run = same_value});
  registry.add({.class_name = "PrimitiveBoolean",
                .display_name = "Boolean",
                .category = "utils/primitive",
                .description = "Yes or no.",
                .python_module = "comfy_extras.nodes_primitive",
                .inputs = {boolean("value", false)},
                .outputs = {{"BOOLEAN"}},
                .run = same_value});
  registry.add({.class_name = "PreviewAny",
                .display_name = "Preview as Text",
                .category = "utils",
                .description = "Shows a value as text.",
                .python_module = "comfy_extras.nodes_preview_any",
                .inputs = {socket("source", "*")},
                .is_output = true,
                .run = preview_any});
  registry.add({.class_name = "ComfySwitchNode",
                .display_name = "Switch",
                .category = "logic",
                .description = "Gives on one of two inputs.",
                .python_module = "comfy_extras.nodes_logic",
                .inputs = {boolean("switch", false), socket("on_false", "*").with("lazy", true),
                           socket("on_true", "*").with("lazy", true)},
                .outputs = {{"*", "output"}},
                .is_experimental = true,
                .run = switched,
                .needs = wanted_side});
}

}  // namespace hearth::workflow
