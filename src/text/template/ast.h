// The syntax tree of a template. Names are numbers into Ast::names, so that looking a variable up compares integers.
// Immutable once parsed; renderings on many threads walk one tree.
#pragma once
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/template/py_value.h"

namespace hearth::text::jinja {

using NameId = int;

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

struct Expr {
  enum class Kind {
    kConstant,    // value
    kName,        // id
    kTuple, kList,
    kDict,        // items: key, value, key, value
    kAttribute,   // items[0] . text
    kItem,        // items[0] [ items[1] ]
    kSlice,       // items: start, stop, step; a missing one is null
    kCall,        // items[0] ( arguments )
    kFilter,      // items[0] | text ( arguments ); items[0] is null for the text of a filter block
    kTest,        // items[0] is text ( arguments )
    kNegate, kPositive, kNot,
    kBinary,      // items[0] text items[1]
    kConcat,      // str of every item, joined
    kCompare,     // items[0] ops[0] items[1] ops[1] items[2] ...
    kAnd, kOr,
    kConditional  // items[1] if items[0] else items[2]; items[2] may be null
  };
  Kind kind = Kind::kConstant;
  int line = 0;
  int height = 1;                // levels below and including this one
  NameId id = -1;
  PyValue value;
  std::string text;
  std::vector<ExprPtr> items;
  std::vector<std::string> ops;
  std::vector<ExprPtr> arguments;  // positional ones of a call, filter or test
  std::vector<std::pair<std::string, ExprPtr>> named;
  ExprPtr star, double_star;       // *args and **kwargs
};

struct Target {  // what an assignment or a loop writes to
  enum class Kind { kName, kTuple, kNamespace };
  Kind kind = Kind::kName;
  NameId id = -1;
  std::string attribute;  // kNamespace: id.attribute
  std::vector<Target> items;
};

struct Stmt;
using Body = std::vector<std::unique_ptr<Stmt>>;

struct Parameter {
  NameId id = -1;
  std::string name;
  ExprPtr standard;  // default value, or null
};

struct MacroDef {  // also the body of a call block
  std::string name;
  int line = 0;
  std::vector<Parameter> parameters;
  Body body;
  bool reads_caller = false, reads_varargs = false, reads_kwargs = false;
};

struct Stmt {
  enum class Kind {
    kData, kPrint, kIf, kFor, kSet, kSetBlock, kMacro, kCallBlock, kFilterBlock, kWith, kScope, kBlock, kBreak,
    kContinue
  };
  Kind kind = Kind::kData;
  int line = 0;
  std::string text;                              // kData
  ExprPtr expr;                                  // printed, assigned, iterated over, called, or a filter chain
  std::vector<std::pair<ExprPtr, Body>> arms;    // kIf: condition and body
  Body body;                                     // kFor, kSetBlock, kFilterBlock, kWith, kScope, kBlock
  Body otherwise;                                // else of kIf and kFor
  Target target;                                 // kFor, kSet, kSetBlock
  ExprPtr condition;                             // kFor ... if
  bool recursive = false;
  std::vector<std::pair<Target, ExprPtr>> bindings;  // kWith
  NameId id = -1;                                // kMacro: the variable it is bound to
  MacroDef macro;                                // kMacro, kCallBlock
};

struct Ast {
  Body body;
  std::vector<std::string> names;
  std::set<std::string, std::less<>> reads;      // every variable some expression reads
  NameId loop_id = 0, caller_id = 0, varargs_id = 0, kwargs_id = 0;
};

}  // namespace hearth::text::jinja
