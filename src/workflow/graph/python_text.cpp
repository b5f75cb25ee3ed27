#include "workflow/graph/python_text.h"

#include <charconv>
#include <cmath>

#include <fmt/format.h>

namespace hearth::workflow {
namespace {

std::string float_text(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == std::string::npos) text += ".0";
  return text;
}

// Control characters and quotes as repr() escapes them; everything printable stays.
std::string quoted(const std::string& text) {
  bool has_single = text.find('\'') != std::string::npos, has_double = text.find('"') != std::string::npos;
  char quote = has_single && !has_double ? '"' : '\'';
  std::string out(1, quote);
  for (unsigned char c : text) {
    switch (c) {
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (c == quote) {
          out += '\\';
          out += static_cast<char>(c);
        } else if (c < 0x20 || c == 0x7f) {
          out += fmt::format("\\x{:02x}", c);
        } else {
          out += static_cast<char>(c);
        }
    }
  }
  return out + quote;
}

// A number's text without the spaces around it and the underscores Python allows between digits.
std::string plain_number(const std::string& text) {
  size_t from = text.find_first_not_of(" \t\n\r\f\v"), to = text.find_last_not_of(" \t\n\r\f\v");
  if (from == std::string::npos) return "";
  std::string plain;
  for (size_t i = from; i <= to; ++i) {
    bool joins = text[i] == '_' && i > from && i < to && std::isdigit(static_cast<unsigned char>(text[i - 1])) &&
                 std::isdigit(static_cast<unsigned char>(text[i + 1]));
    if (!joins) plain += text[i];
  }
  if (plain.size() > 1 && plain[0] == '+' && plain[1] != '-' && plain[1] != '+') plain.erase(0, 1);
  return plain;
}

Unexpected refused(std::string what) { return unexpected(Code::kInvalidArgument, std::move(what)); }

Result<Value> int_of_text(const std::string& text) {
  std::string plain = plain_number(text);
  const char *begin = plain.data(), *end = begin + plain.size();
  int64_t number = 0;
  auto read = std::from_chars(begin, end, number);
  if (!plain.empty() && read.ec == std::errc() && read.ptr == end) return Value(number);
  uint64_t large = 0;
  read = std::from_chars(begin, end, large);
  if (!plain.empty() && read.ec == std::errc() && read.ptr == end) return Value(large);
  return refused("invalid literal for int() with base 10: " + python_repr(Value(text)));
}

Result<Value> int_of_double(double number) {
  if (std::isnan(number)) return refused("cannot convert float NaN to integer");
  if (std::isinf(number)) return refused("cannot convert float infinity to integer");
  number = std::trunc(number);
  if (number >= -9223372036854775808.0 && number < 9223372036854775808.0) return Value(static_cast<int64_t>(number));
  if (number > 0 && number < 18446744073709551616.0) return Value(static_cast<uint64_t>(number));
  return refused("the number does not fit 64 bits");
}

}  // namespace

std::string python_type_name(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kNull: return "NoneType";
    case Value::Kind::kBool: return "bool";
    case Value::Kind::kInt:
    case Value::Kind::kUint: return "int";
    case Value::Kind::kDouble: return "float";
    case Value::Kind::kString: return "str";
    case Value::Kind::kList: return "list";
    case Value::Kind::kObject: return "dict";
  }
  return "object";
}

std::string python_repr(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kNull: return "None";
    case Value::Kind::kBool: return value.as_bool() ? "True" : "False";
    case Value::Kind::kInt: return fmt::format("{}", value.as_int());
    case Value::Kind::kUint: return fmt::format("{}", value.as_uint());
    case Value::Kind::kDouble: return float_text(value.as_double());
    case Value::Kind::kString: return quoted(value.as_string());
    case Value::Kind::kList: {
      std::string out = "[";
      for (const Value& item : value.as_list()) out += (out.size() > 1 ? ", " : "") + python_repr(item);
      return out + "]";
    }
    case Value::Kind::kObject: {
      std::string out = "{";
      for (const auto& [name, member] : value.as_object()) {
        out += (out.size() > 1 ? ", " : "") + quoted(name) + ": " + python_repr(member);
      }
      return out + "}";
    }
  }
  return "";
}

std::string python_str(const Value& value) { return value.is_string() ? value.as_string() : python_repr(value); }

Result<Value> python_int(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kBool: return Value(value.as_bool() ? 1 : 0);
    case Value::Kind::kInt:
    case Value::Kind::kUint: return value;
    case Value::Kind::kDouble: return int_of_double(value.as_double());
    case Value::Kind::kString: return int_of_text(value.as_string());
    default:
      return refused(fmt::format("int() argument must be a string, a bytes-like object or a real number, not '{}'",
                                 python_type_name(value)));
  }
}

Result<Value> python_float(const Value& value) {
  if (value.is_bool()) return Value(value.as_bool() ? 1.0 : 0.0);
  if (value.is_number()) return Value(value.as_double());
  if (!value.is_string()) {
    return refused(
        fmt::format("float() argument must be a string or a real number, not '{}'", python_type_name(value)));
  }
  std::string plain = plain_number(value.as_string());
  double number = 0;
  auto read = std::from_chars(plain.data(), plain.data() + plain.size(), number);
  bool is_whole = !plain.empty() && read.ptr == plain.data() + plain.size();
  if (is_whole && read.ec == std::errc::result_out_of_range) number = plain[0] == '-' ? -HUGE_VAL : HUGE_VAL;
  if (!is_whole || (read.ec != std::errc() && read.ec != std::errc::result_out_of_range)) {
    return refused("could not convert string to float: " + python_repr(value));
  }
  if (std::isnan(number)) return refused("nan is not a number that can be used here");
  return Value(number);
}

bool python_truth(const Value& value) {
  switch (value.kind()) {
    case Value::Kind::kNull: return false;
    case Value::Kind::kBool: return value.as_bool();
    case Value::Kind::kInt:
    case Value::Kind::kUint:
    case Value::Kind::kDouble: return value.as_double() != 0;
    case Value::Kind::kString: return !value.as_string().empty();
    default: return value.size() > 0;
  }
}

bool number_less(const Value& a, const Value& b) {
  if (!a.is_integer() || !b.is_integer()) return a.as_double() < b.as_double();
  bool a_is_large = a.kind() == Value::Kind::kUint, b_is_large = b.kind() == Value::Kind::kUint;
  if (a_is_large != b_is_large) return b_is_large;  // a uint64 is above every int64
  return a_is_large ? a.as_uint() < b.as_uint() : a.as_int() < b.as_int();
}

}  // namespace hearth::workflow
