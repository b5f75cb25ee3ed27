#include "workflow/docs.h"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "formats/json/json.h"

namespace hearth::workflow {
namespace {

std::string range_of(const InputSpec& input) {
  std::string out;
  const Value *value = input.options.find("default"), *min = input.options.find("min"),
              *max = input.options.find("max");
  if (value && !(value->is_string() && value->as_string().empty())) out += fmt::format("`{}`", json::write(*value));
  if (min && max) out += fmt::format("{}{} to {}", out.empty() ? "" : ", ", json::write(*min), json::write(*max));
  return out;
}

std::string help_of(const InputSpec& input) {
  const Value* tooltip = input.options.find("tooltip");
  return tooltip ? tooltip->as_string() : "";
}

std::string type_of(const InputSpec& input) {
  if (!input.is_combo()) return fmt::format("`{}`", input.type);
  if (input.choices_now) return "a file";
  std::string names;
  for (const std::string& name : input.choices) names += fmt::format("{}`{}`", names.empty() ? "" : ", ", name);
  return names;
}

std::string render_node(const NodeType& type) {
  std::string out = fmt::format("### `{}`\n\n", type.class_name);
  std::string name = type.display_name.empty() ? type.class_name : type.display_name;
  out += fmt::format("{}{}{}{}\n\n", name, type.description.empty() ? "" : ": " + type.description,
                     type.is_output ? " (output node)" : "", type.is_deprecated ? " (deprecated)" : "");
  bool has_rows = false;
  for (const InputSpec& input : type.inputs) {
    if (input.kind == InputSpec::Kind::kHidden) continue;
    if (!has_rows) out += "| input | type | default, range | what it is |\n|---|---|---|---|\n";
    has_rows = true;
    out += fmt::format("| `{}`{} | {} | {} | {} |\n", input.name,
                       input.kind == InputSpec::Kind::kOptional ? " (optional)" : "", type_of(input), range_of(input),
                       help_of(input));
  }
  if (type.outputs.empty()) return out + (has_rows ? "\n" : "");
  std::string outputs;
  for (const OutputSpec& output : type.outputs) {
    outputs += fmt::format("{}`{}`", outputs.empty() ? "" : ", ", output.type);
    if (!output.name.empty() && output.name != output.type) outputs += " " + output.name;
  }
  return out + fmt::format("{}Gives {}.\n\n", has_rows ? "\n" : "", outputs);
}

}  // namespace

std::string render_nodes_page(const Registry& registry) {
  std::map<std::string, std::string> by_category;
  for (const NodeType* type : registry.all()) by_category[type->category] += render_node(*type);
  const auto all = registry.all();
  auto is_own = [](const NodeType* type) { return type->python_module == "hearth"; };
  const auto own = std::count_if(all.begin(), all.end(), is_own);
  std::string page = fmt::format(
      "# Nodes\n\nThe {} nodes of ComfyUI that Hearth has, with ComfyUI's names, defaults and ranges, and {} of its "
      "own, by category.\nThis page is written from the registry: `HEARTH_UPDATE_DOCS=1 workflow_test`.\n\n",
      std::ssize(all) - own, own);
  for (const auto& [category, nodes] : by_category) page += fmt::format("## {}\n\n{}", category, nodes);
  while (page.ends_with("\n\n")) page.pop_back();
  return page;
}

}  // namespace hearth::workflow
