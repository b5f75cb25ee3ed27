#include "workflow/registry.h"

#include <algorithm>

#include "core/base/check.h"
#include "workflow/files/places.h"

namespace hearth::workflow {
namespace {

InputSpec spec(std::string_view name, std::string_view type) {
  InputSpec made;
  made.name = name;
  made.type = type;
  return made;
}

Value with_bounds(Value options, Value min, Value max) {
  options.set("min", std::move(min));
  options.set("max", std::move(max));
  return options;
}

std::string_view group_name(InputSpec::Kind kind) {
  switch (kind) {
    case InputSpec::Kind::kRequired: return "required";
    case InputSpec::Kind::kOptional: return "optional";
    case InputSpec::Kind::kHidden: return "hidden";
  }
  return "";
}

void describe_inputs(const NodeType& type, const Places& places, Value& info) {
  Value inputs = Value::object({{"required", Value::object()}}), order = Value::object({{"required", Value::list()}});
  for (auto kind : {InputSpec::Kind::kRequired, InputSpec::Kind::kOptional, InputSpec::Kind::kHidden}) {
    Value group = Value::object(), names = Value::list();
    for (const InputSpec& input : type.inputs) {
      if (input.kind != kind) continue;
      names.push(input.name);
      if (kind == InputSpec::Kind::kHidden) {
        group.set(input.name, input.type);
      } else {
        Value config = input_config(input, places);
        if (input.options.size() == 0) config.as_list().pop_back();  // [TYPE] alone
        group.set(input.name, std::move(config));
      }
    }
    if (names.size() == 0 && kind != InputSpec::Kind::kRequired) continue;
    inputs.set(group_name(kind), std::move(group));
    order.set(group_name(kind), std::move(names));
  }
  info.set("input", std::move(inputs));
  info.set("input_order", std::move(order));
}

void describe_outputs(const NodeType& type, Value& info) {
  Value types = Value::list(), are_lists = Value::list(), names = Value::list(), tooltips = Value::list();
  bool has_tooltips = false;
  for (const OutputSpec& output : type.outputs) {
    types.push(output.type);
    are_lists.push(output.is_list);
    names.push(output.name.empty() ? output.type : output.name);
    tooltips.push(output.tooltip);
    has_tooltips = has_tooltips || !output.tooltip.empty();
  }
  info.set("output", std::move(types));
  info.set("output_is_list", std::move(are_lists));
  info.set("output_name", std::move(names));
  if (has_tooltips) info.set("output_tooltips", std::move(tooltips));
}

}  // namespace

InputSpec InputSpec::with(std::string_view option, Value value) && {
  options.set(option, std::move(value));
  return std::move(*this);
}

InputSpec InputSpec::optional() && {
  kind = Kind::kOptional;
  return std::move(*this);
}

std::vector<std::string> InputSpec::choices_of(const Places& places) const {
  return choices_now ? choices_now(places) : choices;
}

InputSpec socket(std::string_view name, std::string_view type) { return spec(name, type); }

InputSpec integer(std::string_view name, IntRange range) {
  InputSpec made = spec(name, "INT");
  made.options = Value::object({{"default", range.value}});
  if (range.min != range.max) made.options = with_bounds(std::move(made.options), range.min, range.max);
  if (range.step) made.options.set("step", range.step);
  return made;
}

InputSpec seed(std::string_view name) {
  InputSpec made = spec(name, "INT");
  made.options = Value::object({{"default", 0}, {"min", 0}, {"max", ~uint64_t{0}}, {"control_after_generate", true}});
  return made;
}

InputSpec number(std::string_view name, FloatRange range) {
  InputSpec made = spec(name, "FLOAT");
  made.options = Value::object({{"default", range.value}});
  if (range.min != range.max) made.options = with_bounds(std::move(made.options), range.min, range.max);
  if (range.step != 0) made.options.set("step", range.step);
  if (range.round != 0) made.options.set("round", range.round);
  return made;
}

InputSpec text(std::string_view name, std::optional<std::string_view> value) {
  InputSpec made = spec(name, "STRING");
  if (value) made.options.set("default", *value);
  return made;
}

InputSpec long_text(std::string_view name) {
  InputSpec made = spec(name, "STRING");
  made.options = Value::object({{"multiline", true}, {"dynamicPrompts", true}});
  return made;
}

InputSpec boolean(std::string_view name, bool value) { return spec(name, "BOOLEAN").with("default", value); }

InputSpec choice(std::string_view name, std::vector<std::string> choices) {
  InputSpec made = spec(name, "COMBO");
  made.choices = std::move(choices);
  return made;
}

InputSpec model_file(std::string_view name, std::string_view folder) {
  InputSpec made = spec(name, "COMBO");
  made.choices_now = [kind = std::string(folder)](const Places& places) { return places.models.list(kind); };
  return made;
}

InputSpec hidden(std::string_view name, std::string_view type) {
  InputSpec made = spec(name, type);
  made.kind = InputSpec::Kind::kHidden;
  return made;
}

const InputSpec* NodeType::input(std::string_view name) const {
  for (const InputSpec& input : inputs) {
    if (input.name == name) return &input;
  }
  return nullptr;
}

bool NodeType::checks_itself(std::string_view input) const {
  return std::find(own_checks.begin(), own_checks.end(), input) != own_checks.end();
}

void Registry::add(NodeType type) {
  check(static_cast<bool>(type.run), "a node type has a run function");
  auto [place, is_new] = types_.emplace(type.class_name, NodeType{});
  check(is_new, "a node class is registered once");
  place->second = std::move(type);
  order_.push_back(&place->second);
}

void Registry::explain(const std::function<std::string_view(const NodeType&, const InputSpec&)>& help) {
  for (auto& [name, type] : types_) {
    for (InputSpec& input : type.inputs) {
      if (input.kind == InputSpec::Kind::kHidden || input.options.find("tooltip")) continue;
      if (std::string_view text = help(type, input); !text.empty()) input.options.set("tooltip", text);
    }
  }
}

const NodeType* Registry::find(std::string_view class_name) const {
  auto found = types_.find(class_name);
  return found == types_.end() ? nullptr : &found->second;
}

std::vector<const NodeType*> Registry::all() const { return order_; }

Value input_config(const InputSpec& input, const Places& places) {
  Value config = Value::list();
  if (input.is_combo()) {
    Value names = Value::list();
    for (std::string& name : input.choices_of(places)) names.push(std::move(name));
    config.push(std::move(names));
  } else {
    config.push(input.type);
  }
  config.push(input.options);
  return config;
}

Value object_info(const NodeType& type, const Places& places) {
  Value info = Value::object();
  describe_inputs(type, places, info);
  info.set("is_input_list", type.takes_lists);
  describe_outputs(type, info);
  info.set("name", type.class_name);
  info.set("display_name", type.display_name.empty() ? type.class_name : type.display_name);
  info.set("description", type.description);
  info.set("python_module", type.python_module);
  info.set("category", type.category);
  info.set("output_node", type.is_output);
  if (type.is_deprecated) info.set("deprecated", true);
  if (type.is_experimental) info.set("experimental", true);
  Value aliases = Value::list();
  for (const std::string& alias : type.search_aliases) aliases.push(alias);
  info.set("search_aliases", std::move(aliases));
  return info;
}

Value object_info(const Registry& registry, const Places& places) {
  Value all = Value::object();
  for (const NodeType* type : registry.all()) all.set(type->class_name, object_info(*type, places));
  return all;
}

}  // namespace hearth::workflow
