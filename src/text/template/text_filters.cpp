#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "text/template/code_points.h"
#include "text/template/filters.h"
#include "text/template/markup.h"
#include "text/template/parameters.h"
#include "text/template/py_ops.h"
#include "text/template/python_format.h"
#include "text/template/text_ops.h"
#include "text/template/word_wrap.h"

namespace hearth::text::jinja {
namespace {

/// str(value) that leaves Markup marked, as jinja2's soft_str.
PyValue soft_text(Interpreter& interpreter, const PyValue& value) {
  return value.is_string() ? value : PyValue::string(py_str(value, interpreter.budget()));
}

PyValue filter_string(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters("string", args, {});
  return soft_text(interpreter, value);
}

template <std::string (*change)(std::string_view)>
PyValue filter_case(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters("upper", args, {});
  PyValue text = soft_text(interpreter, value);
  interpreter.budget().charge_text(text.bytes().size());
  return PyValue::string(change(text.bytes()), text.is_markup());
}

/// Unlike str.title, a word starts only behind white space and - ( { [ <.
PyValue filter_title(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters("title", args, {});
  std::string text = py_str(value, interpreter.budget());
  std::string titled;
  auto starts_word = [](char32_t c) {
    return is_space(c) || std::u32string_view(U"-({[<").find(c) != std::u32string_view::npos;
  };
  for (size_t pos = 0; pos < text.size();) {
    size_t begin = pos;
    bool separator = starts_word(next_code_point(text, pos));
    while (pos < text.size()) {
      size_t next = pos;
      if (starts_word(next_code_point(text, next)) != separator) break;
      pos = next;
    }
    std::string_view run = std::string_view(text).substr(begin, pos - begin);
    size_t first = byte_offset(run, 0, 1);
    titled += to_upper(run.substr(0, first)) + to_lower(run.substr(first));
  }
  return PyValue::string(std::move(titled));
}

PyValue filter_center(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("center", args, {"width"});
  PyValue text = soft_text(interpreter, value);
  return PyValue::string(pad_text(text.text(), given.integer(0, 80), Side::kBoth, " ", interpreter.budget()),
                         text.is_markup());
}

PyValue filter_trim(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("trim", args, {"chars"});
  PyValue text = soft_text(interpreter, value);
  Budget& budget = interpreter.budget();
  budget.charge_text(text.bytes().size());
  if (!given.given_and_not_none(0)) {
    return PyValue::string(std::string(strip(text.bytes(), Side::kBoth)), text.is_markup());
  }
  budget.charge_search(text.bytes().size(), given.text(0).size() * 16);
  return PyValue::string(std::string(strip(text.bytes(), Side::kBoth, given.text(0))), text.is_markup());
}

PyValue filter_replace(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("replace", args, {"old", "new", "count"}, 2);
  Budget& budget = interpreter.budget();
  Int count = given.given_and_not_none(2) ? given.integer(2, -1) : Int(-1);
  std::string text = py_str(value, budget), from = py_str(given.at(0), budget), to = py_str(given.at(1), budget);
  return PyValue::string(
      replace_text(text, from, to, static_cast<int64_t>(std::clamp<Int>(count, -1, INT64_MAX)), budget));
}

PyValue filter_indent(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("indent", args, {"width", "first", "blank"});
  Budget& budget = interpreter.budget();
  require_defined(value);
  if (!value.is_string()) raise_error(fmt::format("indent wants a string, got '{}'", value.type_name()));
  PyValue width = given.has(0) ? given.at(0) : PyValue::integer(4);
  std::string indent = width.is_string()
                           ? width.bytes()
                           : repeat_text(PyValue::string(" "), integer_argument(width, "indent"), budget).bytes();
  bool blank = given.flag(2, false);
  std::string text = value.bytes() + "\n";  // so that an empty text is one line
  std::string out;
  bool first_line = true;
  for (std::string_view line : split_lines(text)) {
    if (!first_line) out += '\n';
    bool indents = first_line ? given.flag(1, false) : (blank || !line.empty());
    if (indents) out += indent;
    first_line = false;
    out += line;
    if (out.size() > budget.limits().max_output) budget.charge_text(out.size());
  }
  budget.charge_text(out.size());
  return PyValue::string(std::move(out), value.is_markup());
}

PyValue filter_truncate(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("truncate", args, {"length", "killwords", "end", "leeway"});
  PyValue end = given.has(2) ? given.at(2) : PyValue::string("...");
  if (!end.is_string()) raise_error("truncate wants a string as end");
  Int length = given.integer(0, 255);
  Int leeway = given.given_and_not_none(3) ? given.integer(3, 5) : Int(5);
  Int end_length = static_cast<Int>(end.text().n_code_points);
  if (length < end_length) {
    raise_error(fmt::format("expected length >= {}, got {}", int_text(end_length), int_text(length)));
  }
  if (leeway < 0) raise_error(fmt::format("expected leeway >= 0, got {}", int_text(leeway)));
  if (checked_length(value) <= length || checked_length(value) - length <= leeway) return value;
  if (!value.is_string()) raise_error(fmt::format("truncate wants a string, got '{}'", value.type_name()));
  PyValue kept = substring(value, 0, length - end_length);
  if (!given.flag(1, false)) {
    std::string_view whole_words = kept.bytes();
    whole_words = whole_words.substr(0, whole_words.rfind(' '));
    kept = PyValue::string(std::string(whole_words), value.is_markup());
  }
  return py_add(kept, end, interpreter.budget());
}

PyValue filter_wordwrap(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("wordwrap", args, {"width", "break_long_words", "wrapstring", "break_on_hyphens"});
  require_defined(value);
  if (!value.is_string()) raise_error(fmt::format("wordwrap wants a string, got '{}'", value.type_name()));
  WrapStyle style;
  Int width = given.integer(0, 79);
  if (width <= 0) raise_error(fmt::format("invalid width {} (must be > 0)", int_text(width)));
  style.width = static_cast<size_t>(std::min<Int>(width, INT32_MAX));
  style.break_long_words = given.flag(1, true);
  style.break_on_hyphens = given.flag(3, true);
  std::string separator = given.given_and_not_none(2) ? given.text(2) : "\n";
  Budget& budget = interpreter.budget();
  budget.charge_items(value.bytes().size());
  std::string out;
  bool first = true;
  for (std::string_view paragraph : split_lines(value.bytes())) {
    std::vector<std::string> lines = wrap_words(paragraph, style);
    if (lines.empty()) lines.emplace_back();
    for (const std::string& line : lines) {
      if (!first) out += separator;
      first = false;
      out += line;
      if (out.size() > budget.limits().max_output) budget.charge_text(out.size());
    }
  }
  budget.charge_text(out.size());
  return PyValue::string(std::move(out));
}

PyValue filter_wordcount(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters("wordcount", args, {});
  std::string text = py_str(value, interpreter.budget());
  Int count = 0;
  bool in_word = false;
  for (size_t pos = 0; pos < text.size();) {
    char32_t c = next_code_point(text, pos);
    bool word = c == '_' || is_alpha(c) || is_numeric(c);
    if (word && !in_word) ++count;
    in_word = word;
  }
  return PyValue::integer(count);
}

PyValue filter_format(Interpreter& interpreter, const PyValue& value, const Args& args) {
  if (!args.positional.empty() && !args.named.empty()) {
    raise_error("can't handle positional and keyword arguments at the same time");
  }
  PyValue format = soft_text(interpreter, value);
  if (args.named.empty()) return percent_format(format, PyValue::tuple(args.positional), interpreter.budget());
  auto box = std::make_shared<DictBox>();
  for (const auto& [name, argument] : args.named) box->set(name, argument);
  return percent_format(format, PyValue::dict(std::move(box)), interpreter.budget());
}

PyValue filter_safe(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters("safe", args, {});
  return PyValue::string(py_str(value, interpreter.budget()), true);
}

PyValue filter_escape(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters("escape", args, {});
  return PyValue::string(markup_text(value, interpreter.budget()), true);
}

PyValue filter_forceescape(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters("forceescape", args, {});
  return PyValue::string(escape_html(py_str(value, interpreter.budget())), true);
}

PyValue filter_striptags(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters("striptags", args, {});
  return PyValue::string(strip_tags(py_str(value, interpreter.budget())));
}

std::string percent_encoded(std::string_view text, bool in_query) {
  std::string out;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    bool plain = (byte < 0x80 && is_alpha(byte)) || (c >= '0' && c <= '9') ||
                 std::string_view("_.-~").find(c) != std::string_view::npos;
    if (plain || (c == '/' && !in_query)) {
      out += c;
    } else if (c == ' ' && in_query) {
      out += '+';
    } else {
      out += fmt::format("%{:02X}", byte);
    }
  }
  return out;
}

PyValue filter_urlencode(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters("urlencode", args, {});
  Budget& budget = interpreter.budget();
  if (value.is_string() || !is_iterable(value)) return PyValue::string(percent_encoded(py_str(value, budget), false));
  Items pairs = iterate(value.is_dict() ? PyValue::view(value.dict(), ViewBox::Part::kItems) : value, budget);
  std::string query;
  for (const PyValue& pair : pairs) {
    Items parts = iterate(pair, budget);
    if (parts.size() != 2) raise_error("urlencode wants pairs of key and value");
    if (!query.empty()) query += '&';
    query += percent_encoded(py_str(parts[0], budget), true) + "=" + percent_encoded(py_str(parts[1], budget), true);
    budget.charge_text(query.size());
  }
  return PyValue::string(std::move(query));
}

PyValue filter_xmlattr(Interpreter& interpreter, const PyValue& value, const Args& args) {
  Parameters given("xmlattr", args, {"autospace"});
  require_defined(value);
  if (!value.is_dict()) raise_error(fmt::format("'{}' object has no attribute 'items'", value.type_name()));
  Budget& budget = interpreter.budget();
  std::string attributes;
  for (const auto& [key, member] : value.dict()->members) {
    if (member.is_none() || member.is_undefined()) continue;
    std::string name = py_str(key, budget);
    if (name.find_first_of(" \t\n\r\f\v/>=") != std::string::npos) {
      raise_error(fmt::format("Invalid character in attribute name: '{}'", name));
    }
    if (!attributes.empty()) attributes += ' ';
    attributes += markup_text(key, budget) + "=\"" + markup_text(member, budget) + "\"";
    budget.charge_text(attributes.size());
  }
  if (given.flag(0, true) && !attributes.empty()) attributes.insert(0, 1, ' ');
  return PyValue::string(std::move(attributes));
}

constexpr auto kFilters = std::to_array<NamedFilter>({
    {"string", filter_string}, {"upper", filter_case<to_upper>}, {"lower", filter_case<to_lower>},
    {"capitalize", filter_case<capitalize>}, {"title", filter_title}, {"center", filter_center}, {"trim", filter_trim},
    {"replace", filter_replace}, {"indent", filter_indent}, {"truncate", filter_truncate},
    {"wordwrap", filter_wordwrap}, {"wordcount", filter_wordcount}, {"format", filter_format}, {"safe", filter_safe},
    {"escape", filter_escape},
    {"e", filter_escape}, {"forceescape", filter_forceescape}, {"striptags", filter_striptags},
    {"urlencode", filter_urlencode}, {"xmlattr", filter_xmlattr},
});

}  // namespace

std::span<const NamedFilter> text_filters() { return kFilters; }

}  // namespace hearth::text::jinja
