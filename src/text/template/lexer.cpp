#include "text/template/lexer.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <fmt/format.h>

#include "text/template/code_points.h"
#include "text/template/string_literal.h"

namespace hearth::text::jinja {
namespace {

using Kind = Token::Kind;

// Longest first, so that the first match is the right one.
constexpr std::array<std::string_view, 27> kOperators = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/",
                                                         "*",  "%",  "~",  "[",  "]",  "(",  ")", "{", "}",
                                                         ">",  "<",  "=",  ".",  ":",  "|",  ",", ";", ""};

bool is_digit_char(char c) { return c >= '0' && c <= '9'; }
bool is_name_start(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0; }
bool is_name_char(char c) { return is_name_start(c) || is_digit_char(c); }

/// One kind of line end, and one less of them when the text ends with one.
std::string normalized(std::string_view source) {
  std::string text;
  text.reserve(source.size());
  for (size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      text += '\n';
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
    } else {
      text += source[i];
    }
  }
  if (text.ends_with('\n')) text.pop_back();
  return text;
}

size_t trailing_space_start(std::string_view text) {
  size_t kept = 0;
  for (size_t pos = 0; pos < text.size();) {
    if (!is_space(next_code_point(text, pos))) kept = pos;
  }
  return kept;
}

class Lexer {
 public:
  explicit Lexer(std::string_view source) : source_(normalized(source)) {}

  std::vector<Token> run() {
    while (pos_ < source_.size()) template_data();
    push(Kind::kEnd, "");
    return std::move(tokens_);
  }

 private:
  std::string_view rest() const { return std::string_view(source_).substr(pos_); }
  bool at(std::string_view text) const { return rest().starts_with(text); }

  void push(Kind kind, std::string text) { tokens_.push_back({kind, line_, std::move(text), {}}); }

  /// Moves to `end`, counting lines; remembers whether a line has just begun.
  void advance(size_t end) {
    line_ += static_cast<int>(std::count(source_.begin() + static_cast<ptrdiff_t>(pos_),
                                         source_.begin() + static_cast<ptrdiff_t>(end), '\n'));
    if (end > pos_) line_starting_ = source_[end - 1] == '\n';
    pos_ = end;
  }

  size_t space_end(size_t from) const {
    while (from < source_.size()) {
      size_t next = from;
      if (!is_space(next_code_point(source_, next))) break;
      from = next;
    }
    return from;
  }

  void template_data() {
    size_t tag = next_tag();
    std::string_view data = std::string_view(source_).substr(pos_, tag - pos_);
    if (tag >= source_.size()) {
      push(Kind::kData, std::string(data));
      advance(source_.size());
      return;
    }
    bool is_print = source_[tag + 1] == '{';
    size_t inside = tag + 2;
    char sign = inside < source_.size() && (source_[inside] == '-' || source_[inside] == '+') ? source_[inside] : 0;
    if (sign) ++inside;
    std::string_view kept = stripped_before_tag(data, sign, is_print);
    if (!kept.empty()) push(Kind::kData, std::string(kept));
    size_t raw_end = source_[tag + 1] == '%' ? raw_tag_end(inside, "raw", false) : 0;
    advance(inside);
    if (source_[tag + 1] == '#') {
      comment();
    } else if (raw_end > 0) {
      advance(raw_end);
      raw();
    } else {
      push(is_print ? Kind::kPrintBegin : Kind::kBlockBegin, is_print ? "{{" : "{%");
      expression(is_print);
    }
  }

  size_t next_tag() const {
    for (size_t pos = source_.find('{', pos_); pos != std::string::npos; pos = source_.find('{', pos + 1)) {
      char next = pos + 1 < source_.size() ? source_[pos + 1] : 0;
      if (next == '%' || next == '{' || next == '#') return pos;
    }
    return source_.size();
  }

  std::string_view stripped_before_tag(std::string_view data, char sign, bool is_print) const {
    if (sign == '-') return data.substr(0, trailing_space_start(data));
    if (sign == '+' || is_print) return data;
    size_t line_start = data.rfind('\n') == std::string_view::npos ? 0 : data.rfind('\n') + 1;
    bool starts_line = line_start > 0 || line_starting_;
    bool blank = trailing_space_start(data.substr(line_start)) == 0;
    return starts_line && blank ? data.substr(0, line_start) : data;
  }

  /// End of "%}", "-%}" with the space behind it, or "+%}", starting at `pos`; 0 when none is there.
  size_t block_close(size_t pos, std::string_view mark, bool trims) const {
    std::string_view text = std::string_view(source_).substr(pos);
    if (text.starts_with('-') && text.substr(1).starts_with(mark)) return space_end(pos + 3);
    if (mark != "}}" && text.starts_with('+') && text.substr(1).starts_with(mark)) return pos + 3;
    if (!text.starts_with(mark)) return 0;
    return trims && text.substr(2).starts_with('\n') ? pos + 3 : pos + 2;
  }

  /// `pos` stands behind "{%" and its sign; end of "raw %}" or "endraw %}", or 0.
  size_t raw_tag_end(size_t pos, std::string_view word, bool trims) const {
    pos = space_end(pos);
    if (!std::string_view(source_).substr(pos).starts_with(word)) return 0;
    pos = space_end(pos + word.size());
    if (!trims && pos < source_.size() && source_[pos] == '+') return 0;
    return block_close(pos, "%}", trims);
  }

  void raw() {
    for (size_t tag = source_.find("{%", pos_); tag != std::string::npos; tag = source_.find("{%", tag + 1)) {
      size_t inside = tag + 2;
      char sign = inside < source_.size() && (source_[inside] == '-' || source_[inside] == '+') ? source_[inside] : 0;
      size_t end = raw_tag_end(inside + (sign ? 1 : 0), "endraw", true);
      if (end == 0) continue;
      std::string_view data = std::string_view(source_).substr(pos_, tag - pos_);
      push(Kind::kData, std::string(stripped_before_tag(data, sign, false)));
      advance(end);
      return;
    }
    if (pos_ >= source_.size()) return;
    syntax_error(line_, "Missing end of raw directive: expected {% endraw %}");
  }

  void comment() {
    for (size_t end = source_.find("#}", pos_); end != std::string::npos;) {
      bool minus = end > pos_ && source_[end - 1] == '-';
      bool plus = end > pos_ && source_[end - 1] == '+';
      size_t behind = minus ? space_end(end + 2) : end + 2;
      if (!minus && !plus && behind < source_.size() && source_[behind] == '\n') ++behind;
      advance(behind);
      return;
    }
    if (pos_ >= source_.size()) return;
    syntax_error(line_, "Missing end of comment tag: expected #}");
  }

  void expression(bool is_print) {
    std::vector<char> open;
    while (pos_ < source_.size()) {
      if (open.empty()) {
        size_t end = block_close(pos_, is_print ? "}}" : "%}", !is_print);
        if (end > 0) {
          push(is_print ? Kind::kPrintEnd : Kind::kBlockEnd, is_print ? "}}" : "%}");
          advance(end);
          return;
        }
      }
      if (size_t space = space_end(pos_); space > pos_) {
        advance(space);
      } else if (is_digit_char(source_[pos_])) {
        number();
      } else if (is_name_start(source_[pos_])) {
        name();
      } else if (source_[pos_] == '\'' || source_[pos_] == '"') {
        string();
      } else {
        op(open);
      }
    }
  }

  void name() {
    size_t end = pos_;
    while (end < source_.size() && is_name_char(source_[end])) ++end;
    push(Kind::kName, source_.substr(pos_, end - pos_));
    advance(end);
  }

  void string() {
    char quote = source_[pos_];
    size_t end = pos_ + 1;
    while (end < source_.size() && source_[end] != quote) end += source_[end] == '\\' ? 2 : 1;
    if (end >= source_.size()) {
      syntax_error(line_, fmt::format("unexpected char {}: the string is never closed", quote));
    }
    push(Kind::kString, unescape_literal(std::string_view(source_).substr(pos_ + 1, end - pos_ - 1), line_));
    advance(end + 1);
  }

  void op(std::vector<char>& open) {
    auto found = std::find_if(kOperators.begin(), kOperators.end(), [&](std::string_view op) { return at(op); });
    if (found->empty()) {
      size_t end = byte_offset(source_, pos_, 1);
      syntax_error(line_, fmt::format("unexpected char '{}'", source_.substr(pos_, end - pos_)));
    }
    char c = (*found)[0];
    if (c == '(' || c == '[' || c == '{') open.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    if (c == ')' || c == ']' || c == '}') {
      if (open.empty()) syntax_error(line_, fmt::format("unexpected '{}'", c));
      if (open.back() != c) syntax_error(line_, fmt::format("unexpected '{}', expected '{}'", c, open.back()));
      open.pop_back();
    }
    push(Kind::kOperator, std::string(*found));
    advance(pos_ + found->size());
  }

  /// End of digits that single underscores may separate; `from` when there are none.
  size_t digits_end(size_t from, std::string_view allowed) const {
    size_t pos = from;
    auto digit_at = [&](size_t i) { return i < source_.size() && allowed.find(source_[i]) != std::string_view::npos; };
    while (digit_at(pos) || (pos > from && pos < source_.size() && source_[pos] == '_' && digit_at(pos + 1))) ++pos;
    return pos;
  }

  void number() {
    constexpr std::string_view kDecimal = "0123456789";
    bool after_dot = pos_ > 0 && source_[pos_ - 1] == '.';
    size_t whole = digits_end(pos_, kDecimal);
    if (!after_dot && float_number(whole, kDecimal)) return;
    char second = pos_ + 1 < source_.size() ? static_cast<char>(source_[pos_ + 1] | 0x20) : 0;
    if (source_[pos_] == '0' && (second == 'x' || second == 'o' || second == 'b')) {
      std::string_view digits = second == 'x' ? "0123456789abcdefABCDEF" : second == 'o' ? "01234567" : "01";
      size_t from = pos_ + 2 + (pos_ + 2 < source_.size() && source_[pos_ + 2] == '_' ? 1 : 0);
      size_t end = digits_end(from, digits);
      if (end > from) return integer(from, end, second == 'x' ? 16 : second == 'o' ? 8 : 2);
    }
    if (source_[pos_] == '0') whole = digits_end(pos_, "0");
    integer(pos_, whole, 10);
  }

  bool float_number(size_t whole, std::string_view decimal) {
    size_t end = whole;
    if (end < source_.size() && source_[end] == '.') {
      size_t fraction = digits_end(end + 1, decimal);
      if (fraction > end + 1) end = fraction;
    }
    if (end < source_.size() && (source_[end] | 0x20) == 'e') {
      size_t sign = end + 1 < source_.size() && (source_[end + 1] == '+' || source_[end + 1] == '-') ? 1 : 0;
      size_t exponent = digits_end(end + 1 + sign, decimal);
      if (exponent > end + 1 + sign) end = exponent;
    }
    if (end == whole) return false;
    std::string text = source_.substr(pos_, end - pos_);
    std::erase(text, '_');
    push(Kind::kFloat, text);
    tokens_.back().number = PyValue::number(std::strtod(text.c_str(), nullptr));
    advance(end);
    return true;
  }

  void integer(size_t from, size_t end, int base) {
    Int value = 0;
    for (size_t i = from; i < end; ++i) {
      char c = source_[i];
      if (c == '_') continue;
      int digit = is_digit_char(c) ? c - '0' : (c | 0x20) - 'a' + 10;
      if (value > (Int(1) << 120)) syntax_error(line_, "an integer of more than 120 bits");
      value = value * base + digit;
    }
    push(Kind::kInteger, source_.substr(pos_, end - pos_));
    tokens_.back().number = PyValue::integer(value);
    advance(end);
  }

  std::string source_;
  size_t pos_ = 0;
  int line_ = 1;
  bool line_starting_ = true;
  std::vector<Token> tokens_;
};

}  // namespace

std::string Token::describe() const {
  switch (kind) {
    case Kind::kData: return "template data";
    case Kind::kBlockEnd: return "end of statement block";
    case Kind::kPrintEnd: return "end of print statement";
    case Kind::kBlockBegin: return "begin of statement block";
    case Kind::kPrintBegin: return "begin of print statement";
    case Kind::kString: return "string";
    case Kind::kEnd: return "end of template";
    default: return "'" + text + "'";
  }
}

std::vector<Token> tokenize(std::string_view source) { return Lexer(source).run(); }

void syntax_error(int line, std::string_view message) {
  throw Error(Code::kInvalidArgument, fmt::format("line {}: {}", line, message));
}

}  // namespace hearth::text::jinja
