#include "text/template/json_dump.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "text/template/code_points.h"
#include "text/template/py_ops.h"
#include "text/template/python_format.h"

namespace hearth::text::jinja {
namespace {

using Kind = PyValue::Kind;

std::string json_float(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value < 0 ? "-Infinity" : "Infinity";
  return float_repr(value);
}

class Dumper {
 public:
  Dumper(const JsonStyle& style, Budget& budget) : style_(style), budget_(budget) {}
  std::string take() { return std::move(out_); }

  void write(const PyValue& value) {
    budget_.charge();
    switch (value.kind()) {
      case Kind::kNone: return append("null");
      case Kind::kBool: return append(value.as_bool() ? "true" : "false");
      case Kind::kInt: return append(int_text(value.as_int()));
      case Kind::kFloat: return append(json_float(value.as_double()));
      case Kind::kString: return text(value.bytes());
      case Kind::kList:
      case Kind::kTuple: return list(value.items());
      case Kind::kDict: return dict(*value.dict());
      default: raise_error(fmt::format("Object of type {} is not JSON serializable", value.type_name()));
    }
  }

 private:
  void append(std::string_view piece) {
    if (out_.size() + piece.size() > budget_.limits().max_output) budget_.charge_text(out_.size() + piece.size());
    out_ += piece;
  }

  void new_line() {
    if (!style_.indent) return;
    append("\n");
    for (int i = 0; i < level_; ++i) append(*style_.indent);
  }

  void separate(bool first) {
    if (!first) append(style_.item_separator);
    new_line();
  }

  void list(const Items& items) {
    if (items.empty()) return append("[]");
    append("[");
    ++level_;
    for (size_t i = 0; i < items.size(); ++i) {
      separate(i == 0);
      write(items[i]);
    }
    --level_;
    new_line();
    append("]");
  }

  void dict(const DictBox& box) {
    if (box.members.empty()) return append("{}");
    std::vector<size_t> order(box.members.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = i;
    if (style_.sort_keys) {
      std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        return py_less(box.members[a].first, box.members[b].first, budget_);
      });
    }
    append("{");
    ++level_;
    for (size_t i = 0; i < order.size(); ++i) {
      separate(i == 0);
      key(box.members[order[i]].first);
      append(style_.key_separator);
      write(box.members[order[i]].second);
    }
    --level_;
    new_line();
    append("}");
  }

  void key(const PyValue& key) {
    switch (key.kind()) {
      case Kind::kString: return text(key.bytes());
      case Kind::kNone: return text("null");
      case Kind::kBool: return text(key.as_bool() ? "true" : "false");
      case Kind::kInt: return text(int_text(key.as_int()));
      case Kind::kFloat: return text(json_float(key.as_double()));
      default: raise_error(fmt::format("keys must be str, int, float, bool or None, not {}", key.type_name()));
    }
  }

  void text(std::string_view bytes) {
    budget_.charge_text(bytes.size());
    append("\"");
    size_t plain_from = 0;
    for (size_t pos = 0; pos < bytes.size();) {
      size_t begin = pos;
      auto byte = static_cast<unsigned char>(bytes[pos]);
      bool special = byte < 0x20 || byte == '"' || byte == '\\' || (byte >= 0x7F && style_.ascii_only);
      if (!special) {
        ++pos;
        continue;
      }
      append(bytes.substr(plain_from, begin - plain_from));
      escaped(next_code_point(bytes, pos));
      plain_from = pos;
    }
    append(bytes.substr(plain_from));
    append("\"");
  }

  void escaped(char32_t c) {
    switch (c) {
      case '"': return append("\\\"");
      case '\\': return append("\\\\");
      case '\n': return append("\\n");
      case '\r': return append("\\r");
      case '\t': return append("\\t");
      case '\b': return append("\\b");
      case '\f': return append("\\f");
      default: break;
    }
    auto number = static_cast<uint32_t>(c);
    if (number > 0xFFFF) {
      number -= 0x10000;
      return append(fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + (number >> 10), 0xDC00 + (number & 0x3FF)));
    }
    append(fmt::format("\\u{:04x}", number));
  }

  const JsonStyle& style_;
  Budget& budget_;
  int level_ = 0;
  std::string out_;
};

}  // namespace

std::string dump_json(const PyValue& value, const JsonStyle& style, Budget& budget) {
  Dumper dumper(style, budget);
  dumper.write(value);
  std::string written = dumper.take();
  budget.charge_text(written.size());
  return written;
}

}  // namespace hearth::text::jinja
