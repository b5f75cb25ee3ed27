// Jinja source to tokens. White space control happens here, as in jinja2 with trim_blocks and lstrip_blocks on and
// keep_trailing_newline off: data tokens hold exactly the text that is printed. Throws Error{kInvalidArgument} that
// names the line.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "text/template/py_value.h"

namespace hearth::text::jinja {

struct Token {
  enum class Kind {
    kData, kBlockBegin, kBlockEnd, kPrintBegin, kPrintEnd, kName, kString, kInteger, kFloat, kOperator, kEnd
  };
  Kind kind = Kind::kEnd;
  int line = 1;
  std::string text;   // data, name, unescaped string, operator
  PyValue number;     // integer and float

  bool is(Kind wanted, std::string_view wanted_text) const { return kind == wanted && text == wanted_text; }
  bool is_name(std::string_view name) const { return is(Kind::kName, name); }
  bool is_operator(std::string_view op) const { return is(Kind::kOperator, op); }
  std::string describe() const;  // for "expected x, got y"
};

/// Ends with one kEnd token.
std::vector<Token> tokenize(std::string_view source);

/// Throws Error{kInvalidArgument} with "line N: " in front.
[[noreturn]] void syntax_error(int line, std::string_view message);

}  // namespace hearth::text::jinja
