// Interpreter: one rendering of one template. It walks the tree, keeps the scopes and is what filters, methods and
// objects use to call back (filters by name, attribute access through the sandbox, macros).
// Lives for one render() call on one thread; everything it does is paid from its Budget.
#pragma once
#include <ctime>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/template/ast.h"
#include "text/template/budget.h"
#include "text/template/py_value.h"

namespace hearth::text::jinja {

struct Scope {
  Scope* parent = nullptr;
  bool captured = false;  // a macro or a recursive loop still looks names up here
  std::vector<std::pair<NameId, PyValue>> variables;

  const PyValue* find(NameId id) const;
  void set(NameId id, PyValue value);
};

struct Loop;
struct Namespace;

/// What raise_exception throws: its message reaches the caller word for word.
struct RaisedByTemplate : Error {
  using Error::Error;
};

class Interpreter {
 public:
  Interpreter(const Ast& ast, const Value& context, const TemplateLimits& limits, std::time_t now);
  ~Interpreter();

  /// The whole text; throws Error.
  std::string run();

  // For filters, methods and objects.
  Budget& budget() { return budget_; }
  std::time_t now() const { return now_; }
  PyValue get_attribute(const PyValue& value, std::string_view name);      // value.name
  PyValue attribute_only(const PyValue& value, std::string_view name);     // without falling back to value["name"]
  PyValue get_item(const PyValue& value, const PyValue& key);              // value[key]
  PyValue call(const PyValue& callee, const Args& args);
  PyValue call_filter(std::string_view name, const PyValue& value, const Args& args);
  bool call_test(std::string_view name, const PyValue& value, const Args& args);
  PyValue call_macro(const MacroDef& macro, Scope* defined_in, const Args& args);
  std::string run_loop(const Stmt& loop, const PyValue& iterable, Scope* around, int depth0);
  bool passes(const Stmt& loop, const PyValue& item, Scope* around);       // the loop's `if`
  PyValue make_namespace(std::shared_ptr<Namespace> made);
  void keep(std::shared_ptr<Loop> loop);  // until the rendering ends, because it holds a value that may hold it

 private:
  enum class Flow { kNext, kBreak, kContinue };

  // statements.cpp
  Flow execute(const Body& body);
  Flow execute(const Stmt& stmt);
  Flow execute_if(const Stmt& stmt);
  Flow loop_over(const Stmt& loop, const PyValue& iterable, Scope* around, int depth0);
  Flow execute_captured(const Body& body, std::string& text);
  Flow execute_set_block(const Stmt& stmt);
  Flow execute_filter_block(const Stmt& stmt);
  Flow execute_with(const Stmt& stmt);
  Flow execute_scope(const Stmt& stmt, Scope* around);
  void execute_call_block(const Stmt& stmt);
  void assign(const Target& target, const PyValue& value);
  void unpack(const Target& target, const PyValue& value);
  void emit(std::string_view text);
  Scope* capture_scope();

  // expressions.cpp
  PyValue evaluate(const Expr& expr);
  PyValue evaluate_items(const Expr& expr);
  PyValue evaluate_dict(const Expr& expr);
  PyValue evaluate_item(const Expr& expr);
  PyValue evaluate_slice(const PyValue& value, const Expr& slice);
  PyValue evaluate_call(const Expr& expr, const PyValue* caller = nullptr);
  PyValue evaluate_filter(const Expr& expr, const PyValue* block_text = nullptr);
  PyValue evaluate_binary(const Expr& expr);
  PyValue evaluate_concat(const Expr& expr);
  PyValue evaluate_logic(const Expr& expr);
  PyValue evaluate_conditional(const Expr& expr);
  bool evaluate_compare(const Expr& expr);
  bool compare_once(std::string_view op, const PyValue& left, const PyValue& right);
  Args evaluate_arguments(const Expr& expr);
  PyValue lookup(NameId id);

  /// A scope inside `parent` while it lives; the interpreter's current scope meanwhile.
  class Inside {
   public:
    Inside(Interpreter& interpreter, Scope* parent);
    ~Inside();
    Inside(const Inside&) = delete;
    Inside& operator=(const Inside&) = delete;
    Scope& scope() { return *scope_; }

   private:
    Interpreter& interpreter_;
    Scope* scope_;
    Scope* before_;
  };

  const Ast& ast_;
  const Value& context_;
  Budget budget_;
  std::time_t now_;
  int line_ = 1;
  std::string* out_ = nullptr;
  Scope* scope_ = nullptr;
  Scope* root_ = nullptr;
  std::deque<Scope> scopes_;           // every scope of this rendering: macros point into it
  std::vector<Scope*> free_scopes_;
  std::vector<std::optional<PyValue>> globals_;           // context and built-in names, once converted
  std::vector<std::shared_ptr<Namespace>> namespaces_;    // emptied at the end: they may hold each other
  std::vector<std::shared_ptr<Loop>> changed_loops_;      // likewise
};

}  // namespace hearth::text::jinja
