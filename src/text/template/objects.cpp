#include "text/template/objects.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "text/template/parameters.h"
#include "text/template/py_ops.h"
#include "text/template/python_format.h"

namespace hearth::text::jinja {
namespace {

struct Function : Object {
  std::string name;
  Native function = nullptr;
  std::string_view type_name() const override { return "function"; }
  std::string repr() const override { return "<function " + name + ">"; }
  bool is_callable() const override { return true; }
  PyValue call(Interpreter& interpreter, const Args& args) override { return function(interpreter, args); }
};

struct BoundMethod : Object {
  std::string name;
  Method method = nullptr;
  PyValue self;
  std::string_view type_name() const override { return "builtin_function_or_method"; }
  std::string repr() const override {
    return fmt::format("<built-in method {} of {} object>", name, self.type_name());
  }
  bool is_callable() const override { return true; }
  PyValue call(Interpreter& interpreter, const Args& args) override {
    constexpr auto kWithKeywords =
        std::to_array<std::string_view>({"split", "rsplit", "splitlines", "expandtabs", "format"});
    bool allowed = std::find(kWithKeywords.begin(), kWithKeywords.end(), name) != kWithKeywords.end();
    if (!allowed && !args.named.empty()) raise_error(fmt::format("{}() takes no keyword arguments", name));
    return method(interpreter, self, args);
  }
};

PyValue cycler_next(Interpreter&, const PyValue& self, const Args&);
PyValue cycler_reset(Interpreter&, const PyValue& self, const Args&);

struct Cycler : Object, std::enable_shared_from_this<Cycler> {
  PyValue items;
  size_t position = 0;
  std::string_view type_name() const override { return "Cycler"; }
  PyValue current() const { return items.items()[position]; }
  PyValue next() {
    PyValue value = current();
    position = (position + 1) % items.items().size();
    return value;
  }
  std::optional<PyValue> attribute(Interpreter&, std::string_view name) override {
    if (name == "current") return current();
    if (name == "pos") return PyValue::integer(static_cast<Int>(position));
    if (name == "items") return items;
    if (name == "next") return make_method(name, cycler_next, PyValue::object(shared_from_this()));
    if (name == "reset") return make_method(name, cycler_reset, PyValue::object(shared_from_this()));
    return std::nullopt;
  }
};

PyValue cycler_next(Interpreter&, const PyValue& self, const Args&) {
  return static_cast<Cycler&>(self.object()).next();
}

PyValue cycler_reset(Interpreter&, const PyValue& self, const Args&) {
  static_cast<Cycler&>(self.object()).position = 0;
  return {};
}

struct Joiner : Object {
  PyValue separator;
  bool used = false;
  std::string_view type_name() const override { return "Joiner"; }
  bool is_callable() const override { return true; }
  PyValue call(Interpreter&, const Args&) override {
    if (std::exchange(used, true)) return separator;
    return PyValue::string("");
  }
};

PyValue global_range(Interpreter&, const Args& args) {
  constexpr Int kMaxItems = 100000;  // jinja2's sandbox refuses longer ranges
  constexpr Int kFurthest = Int(1) << 62;
  if (!args.named.empty()) raise_error("range() takes no keyword arguments");
  if (args.positional.empty() || args.positional.size() > 3) {
    raise_error(fmt::format("range expected 1 to 3 arguments, got {}", args.positional.size()));
  }
  Int bounds[3] = {0, 0, 1};
  for (size_t i = 0; i < args.positional.size(); ++i) {
    bounds[i] = integer_argument(args.positional[i], "range()");
    if (bounds[i] > kFurthest || bounds[i] < -kFurthest) raise_error("range() of more than 62 bits");
  }
  RangeBox range{bounds[0], bounds[1], bounds[2]};
  if (args.positional.size() == 1) range = {0, bounds[0], 1};
  if (range.step == 0) raise_error("range() arg 3 must not be zero");
  if (range.size() > kMaxItems) {
    raise_error("Range too big. The sandbox blocks ranges larger than MAX_RANGE (100000).");
  }
  return PyValue::range(range);
}

/// What dict(...) and namespace(...) make of their arguments.
void fill_dict(Interpreter& interpreter, const Args& args, std::string_view function, DictBox& box) {
  Budget& budget = interpreter.budget();
  if (args.positional.size() > 1) {
    raise_error(fmt::format("{}() expected at most 1 argument, got {}", function, args.positional.size()));
  }
  if (!args.positional.empty()) {
    const PyValue& given = args.positional[0];
    if (given.is_dict()) {
      budget.charge_items(given.dict()->members.size());
      for (const auto& [key, value] : given.dict()->members) box.set(key, value, budget);
    } else {
      for (const PyValue& pair : iterate(given, budget)) {
        Items parts = iterate(pair, budget);
        if (parts.size() != 2) raise_error(fmt::format("{}() wants pairs of key and value", function));
        box.set(parts[0], parts[1], budget);
      }
    }
  }
  for (const auto& [name, value] : args.named) box.set(name, value);
}

PyValue global_dict(Interpreter& interpreter, const Args& args) {
  auto box = std::make_shared<DictBox>();
  fill_dict(interpreter, args, "dict", *box);
  return PyValue::dict(std::move(box));
}

PyValue global_namespace(Interpreter& interpreter, const Args& args) {
  auto made = std::make_shared<Namespace>();
  fill_dict(interpreter, args, "namespace", made->attributes);
  for (const auto& [key, value] : made->attributes.members) {
    if (key.is_string() && key.bytes().starts_with('_')) {
      raise_error(fmt::format("a namespace cannot store the underscore-prefixed attribute '{}'", key.bytes()));
    }
  }
  return interpreter.make_namespace(std::move(made));
}

PyValue global_cycler(Interpreter&, const Args& args) {
  if (args.positional.empty()) raise_error("at least one item has to be provided");
  auto cycler = std::make_shared<Cycler>();
  cycler->items = PyValue::tuple(args.positional);
  cycler->depth = cycler->items.depth() + 1;
  return PyValue::object(std::move(cycler));
}

PyValue global_joiner(Interpreter&, const Args& args) {
  Parameters given("joiner", args, {"sep"});
  auto joiner = std::make_shared<Joiner>();
  joiner->separator = given.has(0) ? given.at(0) : PyValue::string(", ");
  joiner->depth = joiner->separator.depth() + 1;
  return PyValue::object(std::move(joiner));
}

PyValue global_lipsum(Interpreter&, const Args&) {
  throw Error(Code::kUnsupported, "lipsum() makes random text; a chat template must render the same text every time");
}

PyValue global_raise_exception(Interpreter& interpreter, const Args& args) {
  Parameters given("raise_exception", args, {"message"}, 1);
  throw RaisedByTemplate(Code::kInvalidArgument, py_str(given.at(0), interpreter.budget()));
}

PyValue global_strftime_now(Interpreter& interpreter, const Args& args) {
  Parameters given("strftime_now", args, {"format"}, 1);
  return PyValue::string(format_time(given.text(0), interpreter.now(), interpreter.budget()));
}

constexpr std::array<std::pair<std::string_view, Native>, 8> kGlobals = {{
    {"range", global_range}, {"dict", global_dict}, {"namespace", global_namespace}, {"cycler", global_cycler},
    {"joiner", global_joiner}, {"lipsum", global_lipsum}, {"raise_exception", global_raise_exception},
    {"strftime_now", global_strftime_now}}};

PyValue loop_cycle(Interpreter&, const PyValue& self, const Args& args) {
  return static_cast<Loop&>(self.object()).cycle(args);
}

PyValue loop_changed(Interpreter& interpreter, const PyValue& self, const Args& args) {
  return static_cast<Loop&>(self.object()).changed(interpreter, args);
}

}  // namespace

std::optional<PyValue> Namespace::attribute(Interpreter&, std::string_view name) {
  const PyValue* found = attributes.find(name);
  return found ? std::optional<PyValue>(*found) : std::nullopt;
}

std::string Macro::repr() const {
  return definition->name.empty() ? "<Macro anonymous>" : fmt::format("<Macro '{}'>", definition->name);
}

std::optional<PyValue> Macro::attribute(Interpreter&, std::string_view name) {
  if (name == "arguments") {
    Items names;
    for (const Parameter& parameter : definition->parameters) names.push_back(PyValue::string(parameter.name));
    return PyValue::tuple(std::move(names));
  }
  if (name == "name") return definition->name.empty() ? PyValue() : PyValue::string(definition->name);
  if (name == "catch_kwargs") return PyValue::boolean(definition->reads_kwargs);
  if (name == "catch_varargs") return PyValue::boolean(definition->reads_varargs);
  if (name == "caller") return PyValue::boolean(definition->reads_caller);
  return std::nullopt;
}

PyValue Macro::call(Interpreter& interpreter, const Args& args) {
  return interpreter.call_macro(*definition, defined_in, args);
}

bool Loop::has_turn(Interpreter& interpreter, size_t index) {
  const Items& items = source.items();
  while (passed.size() <= index && next_source < items.size()) {
    const PyValue& item = items[next_source++];
    if (!statement->condition || interpreter.passes(*statement, item, around)) passed.push_back(item);
  }
  return index < passed.size();
}

size_t Loop::length(Interpreter& interpreter) {
  has_turn(interpreter, source.items().size());
  return passed.size();
}

std::string Loop::repr() const {
  size_t length = statement->condition ? passed.size() : source.items().size();
  return fmt::format("<LoopContext {}/{}>", index0 + 1, length);
}

std::optional<PyValue> Loop::attribute(Interpreter& interpreter, std::string_view name) {
  auto number = [](size_t value) { return PyValue::integer(static_cast<Int>(value)); };
  if (name == "index") return number(index0 + 1);
  if (name == "index0") return number(index0);
  if (name == "first") return PyValue::boolean(index0 == 0);
  if (name == "last") return PyValue::boolean(!has_turn(interpreter, index0 + 1));
  if (name == "length") return number(length(interpreter));
  if (name == "revindex") return number(length(interpreter) - index0);
  if (name == "revindex0") return number(length(interpreter) - index0 - 1);
  if (name == "depth") return PyValue::integer(depth0 + 1);
  if (name == "depth0") return PyValue::integer(depth0);
  if (name == "previtem") return index0 == 0 ? PyValue::undefined("there is no previous item") : passed[index0 - 1];
  if (name == "nextitem") {
    return has_turn(interpreter, index0 + 1) ? passed[index0 + 1] : PyValue::undefined("there is no next item");
  }
  if (name == "cycle" || name == "changed") {
    return make_method(name, name == "cycle" ? loop_cycle : loop_changed, PyValue::object(shared_from_this()));
  }
  return std::nullopt;
}

PyValue Loop::call(Interpreter& interpreter, const Args& args) {
  if (!statement->recursive) raise_error("The loop must have the 'recursive' marker to be called recursively.");
  Parameters given("loop", args, {"iterable"}, 1);
  return PyValue::string(interpreter.run_loop(*statement, given.at(0), around, depth0 + 1));
}

PyValue Loop::cycle(const Args& args) const {
  if (args.positional.empty()) raise_error("no items for cycling given");
  return args.positional[index0 % args.positional.size()];
}

PyValue Loop::changed(Interpreter& interpreter, const Args& args) {
  PyValue now = PyValue::tuple(args.positional);
  bool same = last_changed && py_equal(*last_changed, now, interpreter.budget());
  if (!last_changed) interpreter.keep(shared_from_this());
  if (!same) last_changed = now;
  return PyValue::boolean(!same);
}

PyValue make_function(std::string_view name, Native function) {
  auto made = std::make_shared<Function>();
  made->name = name;
  made->function = function;
  return PyValue::object(std::move(made));
}

PyValue make_method(std::string_view name, Method method, PyValue self) {
  auto made = std::make_shared<BoundMethod>();
  made->name = name;
  made->method = method;
  made->depth = self.depth() + 1;
  made->self = std::move(self);
  return PyValue::object(std::move(made));
}

std::optional<PyValue> find_global(std::string_view name) {
  for (const auto& [held, function] : kGlobals) {
    if (held == name) return make_function(name, function);
  }
  return std::nullopt;
}

}  // namespace hearth::text::jinja
