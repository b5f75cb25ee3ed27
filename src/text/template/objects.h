// The objects a template meets: namespaces, macros, the loop variable, cyclers, joiners, functions, bound methods;
// and the global names every template may use (range, dict, namespace, cycler, joiner, lipsum, raise_exception,
// strftime_now).
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "text/template/interpreter.h"

namespace hearth::text::jinja {

using Native = PyValue (*)(Interpreter&, const Args&);
using Method = PyValue (*)(Interpreter&, const PyValue& self, const Args&);

struct Namespace : Object {
  DictBox attributes;
  std::string_view type_name() const override { return "Namespace"; }
  std::optional<PyValue> attribute(Interpreter&, std::string_view name) override;
};

struct Macro : Object {
  const MacroDef* definition = nullptr;
  Scope* defined_in = nullptr;  // owned by the interpreter
  std::string_view type_name() const override { return "Macro"; }
  std::string repr() const override;
  std::optional<PyValue> attribute(Interpreter&, std::string_view name) override;
  bool is_callable() const override { return true; }
  PyValue call(Interpreter& interpreter, const Args& args) override;
};

struct Loop : Object, std::enable_shared_from_this<Loop> {
  PyValue source;               // what is looped over, before the loop's `if`
  size_t next_source = 0;       // the first item the `if` has not judged yet: it runs as late as it can
  Items passed;                 // the items of the turns begun, and those looked ahead at
  size_t index0 = 0;
  int depth0 = 0;
  std::optional<PyValue> last_changed;
  const Stmt* statement = nullptr;
  Scope* around = nullptr;      // of the whole loop; owned by the interpreter
  std::string_view type_name() const override { return "LoopContext"; }
  std::string repr() const override;
  std::optional<PyValue> attribute(Interpreter&, std::string_view name) override;
  bool is_callable() const override { return true; }
  PyValue call(Interpreter& interpreter, const Args& args) override;
  bool has_turn(Interpreter& interpreter, size_t index);  // judges items until that turn is known
  size_t length(Interpreter& interpreter);                // judges all of them
  PyValue cycle(const Args& args) const;
  PyValue changed(Interpreter& interpreter, const Args& args);
};

/// A function by name, or a method bound to a value.
PyValue make_function(std::string_view name, Native function);
PyValue make_method(std::string_view name, Method method, PyValue self);

/// The built-in global of this name.
std::optional<PyValue> find_global(std::string_view name);

}  // namespace hearth::text::jinja
