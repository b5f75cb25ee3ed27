#include <cmath>
#include <cstring>

#include <fmt/format.h>

#include "text/template/code_points.h"
#include "text/template/interpreter.h"
#include "text/template/markup.h"
#include "text/template/py_ops.h"
#include "text/template/python_format.h"

namespace hearth::text::jinja {
namespace {

using Kind = PyValue::Kind;

/// "%(name)-08.3d": one conversion after another.
class PercentFormatter {
 public:
  PercentFormatter(const PyValue& format, const PyValue& arguments, Budget& budget)
      : format_(format.bytes()), markup_(format.is_markup()), arguments_(arguments), budget_(budget) {}

  std::string run() {
    while (pos_ < format_.size()) {
      size_t mark = std::min(format_.find('%', pos_), format_.size());
      append(format_.substr(pos_, mark - pos_));
      pos_ = mark;
      if (pos_ < format_.size()) conversion();
    }
    bool all_used =
        arguments_.is(Kind::kTuple) ? next_ == arguments_.items().size() : next_ > 0 || named_ || is_mapping();
    if (!all_used) raise_error("not all arguments converted during string formatting");
    return std::move(out_);
  }

 private:
  bool is_mapping() const { return arguments_.is_dict() || arguments_.is(Kind::kList); }

  char peek() const {
    if (pos_ >= format_.size()) raise_error("incomplete format");
    return format_[pos_];
  }

  void append(std::string_view piece) {
    if (out_.size() + piece.size() > budget_.limits().max_output) budget_.charge_text(out_.size() + piece.size());
    out_ += piece;
  }

  PyValue next_argument() {
    if (arguments_.is(Kind::kTuple)) {
      if (next_ >= arguments_.items().size()) raise_error("not enough arguments for format string");
      return arguments_.items()[next_++];
    }
    if (next_++ > 0) raise_error("not enough arguments for format string");
    return arguments_;
  }

  int number() {
    if (peek() == '*') {
      ++pos_;
      return static_cast<int>(std::min<Int>(integer_argument(next_argument(), "* in a format"), 1 << 30));
    }
    int value = 0;
    while (peek() >= '0' && peek() <= '9') value = std::min(value * 10 + (format_[pos_++] - '0'), 100'000'000);
    return value;
  }

  std::optional<PyValue> named_argument() {
    if (peek() != '(') return std::nullopt;
    if (!arguments_.is_dict()) raise_error("format requires a mapping");
    size_t close = format_.find(')', pos_);
    if (close == std::string_view::npos) raise_error("incomplete format key");
    std::string_view key = format_.substr(pos_ + 1, close - pos_ - 1);
    const PyValue* found = arguments_.dict()->find(key);
    if (!found) raise_error(fmt::format("'{}' is not a key of the format's mapping", key));
    pos_ = close + 1;
    named_ = true;
    return *found;
  }

  void conversion() {
    budget_.charge();
    ++pos_;
    auto named = named_argument();
    bool left = false, plus = false, blank = false, zero = false, alternate = false;
    for (; std::strchr("-+ 0#", peek()); ++pos_) {
      left |= peek() == '-', plus |= peek() == '+', blank |= peek() == ' ';
      zero |= peek() == '0', alternate |= peek() == '#';
    }
    FieldLayout layout;
    int width = number();
    layout.width = static_cast<size_t>(std::abs(width));
    left |= width < 0;
    int precision = -1;
    if (peek() == '.') ++pos_, precision = std::max(number(), 0);
    if (peek() == 'l' || peek() == 'h' || peek() == 'L') ++pos_;
    char type = peek();
    ++pos_;
    if (type == '%') return append("%");
    PyValue value = named ? *named : next_argument();
    bool is_number = std::strchr("diuoxXeEfFgG", type) != nullptr;
    layout.align = left ? '<' : is_number && zero ? '=' : '>';
    if (layout.align == '=') layout.fill = U'0';
    std::string_view positive = plus ? "+" : blank ? " " : "";
    append(is_number ? number_field(value, type, precision, alternate, positive, layout)
                     : lay_out("", text_field(value, type, precision), layout, budget_));
  }

  std::string text_field(const PyValue& value, char type, int precision) {
    std::string text;
    if (type == 's') {
      text = markup_ ? markup_text(value, budget_) : py_str(value, budget_);
    } else if (type == 'r' || type == 'a') {
      text = py_repr(value, budget_);
      if (markup_) text = escape_html(text);
    } else if (type == 'c') {
      if (value.is_string() && value.text().n_code_points == 1) return value.bytes();
      append_code_point(text, static_cast<char32_t>(integer_argument(value, "%c")));
    } else {
      raise_error(fmt::format("unsupported format character '{}'", type));
    }
    if (precision >= 0) text.resize(byte_offset(text, 0, static_cast<size_t>(precision)));
    return text;
  }

  std::string number_field(const PyValue& value, char type, int precision, bool alternate, std::string_view positive,
                           const FieldLayout& layout) {
    require_defined(value);
    if (!value.is_number()) {
      raise_error(fmt::format("%{} format: a real number is required, not {}", type, value.type_name()));
    }
    if (std::strchr("eEfFgG", type)) {
      double number = value.as_double();
      std::string sign(std::signbit(number) && !std::isnan(number) ? "-" : positive);
      return lay_out(sign, float_digits(std::abs(number), type, precision < 0 ? 6 : precision, alternate), layout,
                     budget_);
    }
    if (std::strchr("oxX", type) && !value.is_integral()) {
      raise_error(fmt::format("%{} format: an integer is required, not {}", type, value.type_name()));
    }
    Int whole = value.is_integral() ? value.as_int() : truncated(value.as_double());
    std::string sign(whole < 0 ? "-" : positive);
    if (alternate && type != 'd' && type != 'i' && type != 'u') sign += std::string("0") + type;
    int base = type == 'o' ? 8 : (type == 'x' || type == 'X') ? 16 : 10;
    std::string digits = int_digits(whole < 0 ? -whole : whole, base, type == 'X');
    size_t wanted = precision > 0 ? static_cast<size_t>(precision) : 0;
    budget_.charge_text(wanted);
    if (digits.size() < wanted) digits.insert(0, wanted - digits.size(), '0');
    return lay_out(sign, digits, layout, budget_);
  }

  static Int truncated(double number) {
    if (!(std::abs(number) < 1e37)) raise_error("cannot convert float infinity or NaN to integer");
    return static_cast<Int>(number);
  }

  std::string_view format_;
  bool markup_;
  const PyValue& arguments_;
  Budget& budget_;
  size_t pos_ = 0;
  size_t next_ = 0;
  bool named_ = false;
  std::string out_;
};

/// "{name.attribute[0]!r:>{width}}": replacement fields of str.format.
class BraceFormatter {
 public:
  BraceFormatter(bool markup, const Args& args, Interpreter& interpreter)
      : markup_(markup), args_(args), interpreter_(interpreter), budget_(interpreter.budget()) {}

  std::string run(std::string_view format, int nesting) {
    if (nesting < 0) raise_error("Max string recursion exceeded");
    std::string out;
    for (size_t pos = 0; pos < format.size();) {
      char c = format[pos];
      bool doubled = pos + 1 < format.size() && format[pos + 1] == c;
      if (c == '}' && !doubled) raise_error("Single '}' encountered in format string");
      if (c == '{' && !doubled) {
        size_t close = field_end(format, pos);
        out += field(format.substr(pos + 1, close - pos - 1), nesting);
        budget_.charge_text(out.size());
        pos = close + 1;
      } else {
        out += c;
        pos += (c == '{' || c == '}') ? 2 : 1;
      }
    }
    return out;
  }

 private:
  static size_t field_end(std::string_view format, size_t open) {
    int depth = 0;
    for (size_t pos = open; pos < format.size(); ++pos) {
      if (format[pos] == '{') ++depth;
      if (format[pos] == '}' && --depth == 0) return pos;
    }
    raise_error(open + 1 == format.size() ? "Single '{' encountered in format string"
                                          : "expected '}' before end of string");
  }

  std::string field(std::string_view text, int nesting) {
    size_t name_end = 0;
    for (bool in_brackets = false; name_end < text.size(); ++name_end) {
      char c = text[name_end];
      if (c == '[') in_brackets = true;
      if (c == ']') in_brackets = false;
      if (!in_brackets && (c == '!' || c == ':')) break;
    }
    PyValue value = lookup(text.substr(0, name_end));
    char conversion = 0;
    if (name_end < text.size() && text[name_end] == '!') {
      if (name_end + 1 >= text.size()) raise_error("end of string while looking for conversion specifier");
      conversion = text[name_end + 1];
      name_end += 2;
      if (name_end < text.size() && text[name_end] != ':') raise_error("expected ':' after conversion specifier");
    }
    std::string spec = name_end < text.size() ? run(text.substr(name_end + 1), nesting - 1) : "";
    if (conversion == 'r' || conversion == 'a') {
      value = PyValue::string(py_repr(value, budget_));
    } else if (conversion == 's') {
      value = PyValue::string(py_str(value, budget_));
    } else if (conversion != 0) {
      raise_error(fmt::format("Unknown conversion specifier {}", conversion));
    }
    if (markup_ && spec.empty()) return markup_text(value, budget_);
    std::string written = format_value(value, spec, budget_);
    return markup_ ? escape_html(written) : written;
  }

  PyValue lookup(std::string_view name) {
    size_t first_end = std::min(name.find_first_of(".["), name.size());
    PyValue value = first(name.substr(0, first_end));
    for (size_t pos = first_end; pos < name.size();) {
      if (name[pos] == '.') {
        size_t end = std::min(name.find_first_of(".[", pos + 1), name.size());
        if (end == pos + 1) raise_error("Empty attribute in format string");
        value = interpreter_.get_attribute(value, name.substr(pos + 1, end - pos - 1));
        pos = end;
      } else if (name[pos] == '[') {
        size_t close = name.find(']', pos);
        if (close == std::string_view::npos || close == pos + 1) raise_error("Missing ']' in format string");
        value = interpreter_.get_item(value, key(name.substr(pos + 1, close - pos - 1)));
        pos = close + 1;
      } else {
        raise_error("Only '.' or '[' may follow ']' in format field specifier");
      }
    }
    return value;
  }

  static PyValue key(std::string_view text) {
    bool number = text.size() < 18 && text.find_first_not_of("0123456789") == std::string_view::npos;
    return number ? PyValue::integer(std::stoll(std::string(text))) : PyValue::string(std::string(text));
  }

  PyValue first(std::string_view name) {
    bool number = name.find_first_not_of("0123456789") == std::string_view::npos && name.size() < 18;
    if (!number) {
      for (const auto& [key, value] : args_.named) {
        if (key == name) return value;
      }
      raise_error(fmt::format("'{}' is not an argument of format()", name));
    }
    if (name.empty() == (numbering_ == Numbering::kManual) && numbering_ != Numbering::kUnknown) {
      raise_error("cannot switch between manual and automatic field numbering");
    }
    numbering_ = name.empty() ? Numbering::kAutomatic : Numbering::kManual;
    size_t index = name.empty() ? next_++ : static_cast<size_t>(std::stoll(std::string(name)));
    if (index >= args_.positional.size()) {
      raise_error(fmt::format("Replacement index {} out of range for positional args tuple", index));
    }
    return args_.positional[index];
  }

  enum class Numbering { kUnknown, kAutomatic, kManual };
  bool markup_;
  const Args& args_;
  Interpreter& interpreter_;
  Budget& budget_;
  Numbering numbering_ = Numbering::kUnknown;
  size_t next_ = 0;
};

}  // namespace

PyValue percent_format(const PyValue& format, const PyValue& arguments, Budget& budget) {
  std::string text = PercentFormatter(format, arguments, budget).run();
  budget.charge_text(text.size());
  return PyValue::string(std::move(text), format.is_markup());
}

PyValue brace_format(const PyValue& format, const Args& args, Interpreter& interpreter) {
  return PyValue::string(BraceFormatter(format.is_markup(), args, interpreter).run(format.bytes(), 2),
                         format.is_markup());
}

std::string format_time(const std::string& format, std::time_t now, Budget& budget) {
  constexpr size_t kLongestField = 64;
  budget.charge_text(format.size() * kLongestField);
  std::tm local{};
  localtime_r(&now, &local);
  std::string expanded;
  for (size_t i = 0; i < format.size(); ++i) {  // %f is Python's own; C's strftime handles the rest
    bool conversion = format[i] == '%' && i + 1 < format.size();
    if (conversion && format[i + 1] == 'f') {
      expanded += "000000";
    } else {
      expanded += format[i];
      if (conversion) expanded += format[i + 1];
    }
    if (conversion) ++i;
  }
  if (expanded.empty()) return {};
  std::string text(expanded.size() * kLongestField + 1, '\0');
  expanded += ' ';  // so that zero can only mean "too small"
  size_t length = std::strftime(text.data(), text.size(), expanded.c_str(), &local);
  text.resize(length > 0 ? length - 1 : 0);
  return text;
}

}  // namespace hearth::text::jinja
