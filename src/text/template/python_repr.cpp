#include <algorithm>
#include <charconv>
#include <cmath>

#include <fmt/format.h>

#include "text/template/code_points.h"
#include "text/template/objects.h"
#include "text/template/py_ops.h"
#include "text/template/python_format.h"

namespace hearth::text::jinja {
namespace {

using Kind = PyValue::Kind;

class Writer {
 public:
  explicit Writer(Budget& budget) : budget_(budget) {}
  std::string take() { return std::move(out_); }

  void repr(const PyValue& value) {
    budget_.charge();
    switch (value.kind()) {
      case Kind::kUndefined: return append("Undefined");
      case Kind::kNone: return append("None");
      case Kind::kBool: return append(value.as_bool() ? "True" : "False");
      case Kind::kInt: return append(int_text(value.as_int()));
      case Kind::kFloat: return append(float_repr(value.as_double()));
      case Kind::kString: return text(value);
      case Kind::kList: return sequence("[", value.items(), "]");
      case Kind::kTuple: return sequence("(", value.items(), value.items().size() == 1 ? ",)" : ")");
      case Kind::kDict: return dict(*value.dict());
      case Kind::kView: return view(value);
      case Kind::kRange: return range(value.range());
      case Kind::kIterator: return append("<generator object>");
      case Kind::kObject: return object(value.object());
    }
  }

 private:
  void append(std::string_view piece) {
    if (out_.size() + piece.size() > budget_.limits().max_output) budget_.charge_text(out_.size() + piece.size());
    out_ += piece;
  }

  void sequence(std::string_view open, const Items& items, std::string_view close) {
    append(open);
    for (size_t i = 0; i < items.size(); ++i) {
      if (i > 0) append(", ");
      repr(items[i]);
    }
    append(close);
  }

  void dict(const DictBox& box) {
    append("{");
    bool first = true;
    for (const auto& [key, value] : box.members) {
      if (!first) append(", ");
      first = false;
      repr(key);
      append(": ");
      repr(value);
    }
    append("}");
  }

  void object(Object& object) {
    const auto* held = dynamic_cast<const Namespace*>(&object);
    if (!held) return append(object.repr());
    if (std::find(open_.begin(), open_.end(), held) != open_.end()) return append("<Namespace {...}>");
    const Budget::Call call(budget_);
    open_.push_back(held);
    append("<Namespace ");
    dict(held->attributes);
    append(">");
    open_.pop_back();
  }

  void view(const PyValue& value) {
    append(value.type_name());
    sequence("([", iterate(value, budget_), "])");
  }

  void range(const RangeBox& range) {
    append(fmt::format("range({}, {}", int_text(range.start), int_text(range.stop)));
    append(range.step == 1 ? ")" : fmt::format(", {})", int_text(range.step)));
  }

  void text(const PyValue& value) {
    const std::string& bytes = value.bytes();
    budget_.charge_text(bytes.size());
    bool double_quoted = bytes.find('\'') != std::string::npos && bytes.find('"') == std::string::npos;
    char quote = double_quoted ? '"' : '\'';
    if (value.is_markup()) append("Markup(");
    out_ += quote;
    for (size_t pos = 0; pos < bytes.size();) {
      size_t begin = pos;
      char32_t c = next_code_point(bytes, pos);
      escaped(c, std::string_view(bytes).substr(begin, pos - begin), quote);
    }
    out_ += quote;
    append(value.is_markup() ? ")" : "");
  }

  void escaped(char32_t c, std::string_view bytes, char quote) {
    if (c == static_cast<char32_t>(quote) || c == '\\') {
      out_ += '\\';
      return append(bytes);
    }
    if (c == '\n') return append("\\n");
    if (c == '\r') return append("\\r");
    if (c == '\t') return append("\\t");
    if (c >= 0x20 && c < 0x7F) return append(bytes);
    if (c > 0x7F && is_printable(c)) return append(bytes);
    auto number = static_cast<uint32_t>(c);
    if (number <= 0xFF) return append(fmt::format("\\x{:02x}", number));
    append(number <= 0xFFFF ? fmt::format("\\u{:04x}", number) : fmt::format("\\U{:08x}", number));
  }

  Budget& budget_;
  std::string out_;
  std::vector<const Namespace*> open_;  // being written: a namespace may hold itself
};

}  // namespace

std::string int_text(Int value) {
  if (value >= 0) return int_digits(value, 10, false);
  return "-" + int_digits(-value, 10, false);
}

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  auto end = std::to_chars(buffer, buffer + sizeof buffer, std::abs(value), std::chars_format::scientific).ptr;
  std::string_view shortest(buffer, static_cast<size_t>(end - buffer));
  size_t mark = shortest.find('e');
  int exponent = 0;
  size_t digits_from = mark + (shortest[mark + 1] == '+' ? 2 : 1);
  std::from_chars(shortest.data() + digits_from, shortest.data() + shortest.size(), exponent);
  std::string digits(shortest.substr(0, 1));
  if (mark > 2) digits += shortest.substr(2, mark - 2);
  std::string sign = std::signbit(value) ? "-" : "";
  if (exponent < -4 || exponent >= 16) {
    std::string fraction = digits.size() > 1 ? "." + digits.substr(1) : "";
    return sign + digits[0] + fraction + fmt::format("e{}{:02}", exponent < 0 ? '-' : '+', std::abs(exponent));
  }
  if (exponent < 0) return sign + "0." + std::string(static_cast<size_t>(-exponent - 1), '0') + digits;
  size_t whole = static_cast<size_t>(exponent) + 1;
  if (digits.size() <= whole) return sign + digits + std::string(whole - digits.size(), '0') + ".0";
  return sign + digits.substr(0, whole) + "." + digits.substr(whole);
}

std::string py_repr(const PyValue& value, Budget& budget) {
  Writer writer(budget);
  writer.repr(value);
  std::string written = writer.take();
  budget.charge_text(written.size());
  return written;
}

std::string py_str(const PyValue& value, Budget& budget) {
  if (value.is_string()) {
    budget.charge_text(value.bytes().size());
    return value.bytes();
  }
  if (value.is_undefined()) return {};
  return py_repr(value, budget);
}

}  // namespace hearth::text::jinja
