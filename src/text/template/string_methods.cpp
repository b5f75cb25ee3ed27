#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "text/template/code_points.h"
#include "text/template/markup.h"
#include "text/template/methods.h"
#include "text/template/parameters.h"
#include "text/template/py_ops.h"
#include "text/template/python_format.h"
#include "text/template/text_ops.h"

namespace hearth::text::jinja {
namespace {

using Kind = PyValue::Kind;

/// A result of a method of `self`: Markup makes Markup.
PyValue text_like(const PyValue& self, std::string text) { return PyValue::string(std::move(text), self.is_markup()); }

PyValue list_like(const PyValue& self, const std::vector<std::string_view>& parts, Budget& budget) {
  budget.charge_items(parts.size());
  budget.charge_text(self.bytes().size());
  Items items;
  items.reserve(parts.size());
  for (std::string_view part : parts) items.push_back(text_like(self, std::string(part)));
  return PyValue::list(std::move(items));
}

/// A string argument as it joins `self`: escaped when only self is Markup.
std::string joined_argument(const PyValue& self, const PyValue& argument, Budget& budget) {
  require_defined(argument);
  if (!argument.is_string()) raise_error(fmt::format("expected a string, got '{}'", argument.type_name()));
  return self.is_markup() ? markup_text(argument, budget) : argument.bytes();
}

template <Side side>
PyValue str_strip(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters given("strip", args, {"chars"});
  interpreter.budget().charge_text(self.bytes().size());
  if (!given.given_and_not_none(0)) return text_like(self, std::string(strip(self.bytes(), side)));
  interpreter.budget().charge_search(self.bytes().size(), given.text(0).size() * 16);
  return text_like(self, std::string(strip(self.bytes(), side, given.text(0))));
}

template <bool from_right>
PyValue str_split(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters given("split", args, {"sep", "maxsplit"});
  auto max_splits = static_cast<int64_t>(std::clamp<Int>(given.integer(1, -1), -1, INT64_MAX));
  interpreter.budget().charge_text(self.bytes().size());
  if (!given.given_and_not_none(0)) {
    return list_like(self, split_space(self.bytes(), max_splits, from_right), interpreter.budget());
  }
  if (given.text(0).empty()) raise_error("empty separator");
  interpreter.budget().charge_search(self.bytes().size(), given.text(0).size());
  return list_like(self, split_at(self.bytes(), given.text(0), max_splits, from_right), interpreter.budget());
}

PyValue str_splitlines(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters given("splitlines", args, {"keepends"});
  return list_like(self, split_lines(self.bytes(), given.flag(0, false)), interpreter.budget());
}

struct TextRange {  // [start, stop) of a text, from optional code point arguments
  size_t first_character = 0;
  size_t offset = 0;
  std::string_view text;
  bool inside = true;  // false when start lies behind the end
};

TextRange text_range(const PyValue& self, const Parameters& given, size_t start_index) {
  Int length = static_cast<Int>(self.text().n_code_points);
  auto bound = [&](size_t i, Int standard) {
    if (!given.given_and_not_none(i)) return standard;
    Int value = given.integer(i, 0);
    return value < 0 ? std::max<Int>(value + length, 0) : value;
  };
  Int start = bound(start_index, 0);
  Int stop = std::min(bound(start_index + 1, length), length);
  TextRange range;
  range.inside = start <= stop;
  if (!range.inside) return range;
  range.first_character = static_cast<size_t>(start);
  range.offset = byte_offset(self.bytes(), 0, range.first_character);
  size_t end = byte_offset(self.bytes(), range.offset, static_cast<size_t>(stop - start));
  range.text = std::string_view(self.bytes()).substr(range.offset, end - range.offset);
  return range;
}

/// startswith and endswith: one string or a tuple of them.
template <bool at_start>
PyValue str_has_affix(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters given("startswith", args, {"prefix", "start", "end"}, 1);
  TextRange range = text_range(self, given, 1);
  auto matches = [&](const PyValue& affix) {
    require_defined(affix);
    if (!affix.is_string()) {
      raise_error(fmt::format("startswith first arg must be str or a tuple of str, not {}", affix.type_name()));
    }
    if (!range.inside) return false;
    return at_start ? range.text.starts_with(affix.bytes()) : range.text.ends_with(affix.bytes());
  };
  interpreter.budget().charge();
  if (!given.at(0).is(Kind::kTuple)) return PyValue::boolean(matches(given.at(0)));
  for (const PyValue& affix : given.at(0).items()) {
    if (matches(affix)) return PyValue::boolean(true);
  }
  return PyValue::boolean(false);
}

template <bool from_right, bool must_exist>
PyValue str_find(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters given("find", args, {"sub", "start", "end"}, 1);
  const std::string& wanted = given.text(0);
  interpreter.budget().charge_search(self.bytes().size(), wanted.size());
  TextRange range = text_range(self, given, 1);
  size_t at = from_right ? range.text.rfind(wanted) : range.text.find(wanted);
  if (range.inside && at != std::string_view::npos) {
    return PyValue::integer(static_cast<Int>(range.first_character + code_point_count(range.text.substr(0, at))));
  }
  if (must_exist) raise_error("substring not found");
  return PyValue::integer(-1);
}

PyValue str_count(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters given("count", args, {"sub", "start", "end"}, 1);
  const std::string& wanted = given.text(0);
  interpreter.budget().charge_search(self.bytes().size(), wanted.size());
  TextRange range = text_range(self, given, 1);
  if (!range.inside) return PyValue::integer(0);
  if (wanted.empty()) return PyValue::integer(static_cast<Int>(code_point_count(range.text)) + 1);
  Int count = 0;
  for (size_t at = range.text.find(wanted); at != std::string_view::npos;
       at = range.text.find(wanted, at + wanted.size())) {
    ++count;
  }
  return PyValue::integer(count);
}

PyValue str_replace(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters given("replace", args, {"old", "new", "count"}, 2);
  auto count = static_cast<int64_t>(std::clamp<Int>(given.integer(2, -1), -1, INT64_MAX));
  Budget& budget = interpreter.budget();
  return text_like(
      self, replace_text(self.bytes(), given.text(0), joined_argument(self, given.at(1), budget), count, budget));
}

template <std::string (*change)(std::string_view)>
PyValue str_case(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters("upper", args, {});
  interpreter.budget().charge_text(self.bytes().size());
  return text_like(self, change(self.bytes()));
}

PyValue str_join(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters given("join", args, {"iterable"}, 1);
  Budget& budget = interpreter.budget();
  std::string joined;
  bool first = true;
  for (const PyValue& item : iterate(given.at(0), budget)) {
    if (!self.is_markup() && !item.is_string()) {
      raise_error(fmt::format("sequence item: expected str instance, {} found", item.type_name()));
    }
    if (!first) joined += self.bytes();
    first = false;
    joined += self.is_markup() ? markup_text(item, budget) : item.bytes();
    if (joined.size() > budget.limits().max_output) budget.charge_text(joined.size());
  }
  budget.charge_text(joined.size());
  return text_like(self, std::move(joined));
}

PyValue str_format(Interpreter& interpreter, const PyValue& self, const Args& args) {
  return brace_format(self, args, interpreter);
}

PyValue str_format_map(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters given("format_map", args, {"mapping"}, 1);
  if (!given.at(0).is_dict()) raise_error("format_map() wants a mapping");
  Args named;
  for (const auto& [key, value] : given.at(0).dict()->members) {
    if (key.is_string()) named.named.emplace_back(key.bytes(), value);
  }
  return brace_format(self, named, interpreter);
}

/// Every character satisfies `wanted`, and there is one (unless empty texts count).
template <bool (*wanted)(char32_t), bool empty_counts = false>
PyValue str_all(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters("isdigit", args, {});
  interpreter.budget().charge_text(self.bytes().size());
  for (size_t pos = 0; pos < self.bytes().size();) {
    if (!wanted(next_code_point(self.bytes(), pos))) return PyValue::boolean(false);
  }
  return PyValue::boolean(empty_counts || !self.bytes().empty());
}

bool is_ascii_character(char32_t c) { return c < 0x80; }
bool is_alphanumeric(char32_t c) { return is_alpha(c) || is_numeric(c); }

template <bool (*wanted)(char32_t), bool (*other)(char32_t)>
PyValue str_is_case(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters("isupper", args, {});
  interpreter.budget().charge_text(self.bytes().size());
  bool any = false;
  for (size_t pos = 0; pos < self.bytes().size();) {
    char32_t c = next_code_point(self.bytes(), pos);
    if (other(c) || is_title(c)) return PyValue::boolean(false);
    any |= wanted(c);
  }
  return PyValue::boolean(any);
}

PyValue str_istitle(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters("istitle", args, {});
  interpreter.budget().charge_text(self.bytes().size());
  bool any = false, in_word = false;
  for (size_t pos = 0; pos < self.bytes().size();) {
    char32_t c = next_code_point(self.bytes(), pos);
    bool raised = is_upper(c) || is_title(c);
    if ((raised && in_word) || (is_lower(c) && !in_word)) return PyValue::boolean(false);
    in_word = raised || is_lower(c);
    any |= in_word;
  }
  return PyValue::boolean(any);
}

PyValue str_isidentifier(Interpreter&, const PyValue& self, const Args& args) {
  Parameters("isidentifier", args, {});
  bool first = true;
  for (size_t pos = 0; pos < self.bytes().size(); first = false) {
    char32_t c = next_code_point(self.bytes(), pos);
    if (!(c == '_' || is_alpha(c) || (!first && is_decimal(c)))) return PyValue::boolean(false);
  }
  return PyValue::boolean(!first);
}

template <Side side>
PyValue str_pad(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters given("center", args, {"width", "fillchar"}, 1);
  std::string fill = given.has(1) ? joined_argument(self, given.at(1), interpreter.budget()) : " ";
  if (given.has(1) && given.at(1).text().n_code_points != 1) {
    raise_error("The fill character must be exactly one character long");
  }
  return text_like(self, pad_text(self.text(), given.integer(0, 0), side, fill, interpreter.budget()));
}

PyValue str_zfill(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters given("zfill", args, {"width"}, 1);
  bool has_sign = self.bytes().starts_with('+') || self.bytes().starts_with('-');
  std::string sign = has_sign ? self.bytes().substr(0, 1) : "";
  TextBox digits(self.bytes().substr(sign.size()));
  Int width = given.integer(0, 0) - static_cast<Int>(sign.size());
  return text_like(self, sign + pad_text(digits, width, Side::kLeft, "0", interpreter.budget()));
}

template <bool at_start>
PyValue str_remove_affix(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters given("removeprefix", args, {"prefix"}, 1);
  const std::string& affix = given.text(0);
  std::string_view text = self.bytes();
  interpreter.budget().charge_text(text.size());
  if (at_start && text.starts_with(affix)) text.remove_prefix(affix.size());
  if (!at_start && text.ends_with(affix)) text.remove_suffix(affix.size());
  return text_like(self, std::string(text));
}

template <bool from_right>
PyValue str_partition(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters given("partition", args, {"sep"}, 1);
  const std::string& separator = given.text(0);
  if (separator.empty()) raise_error("empty separator");
  const std::string& text = self.bytes();
  interpreter.budget().charge_search(text.size(), separator.size());
  size_t at = from_right ? text.rfind(separator) : text.find(separator);
  PyValue nothing = text_like(self, "");
  if (at == std::string::npos) {
    return from_right ? PyValue::tuple({nothing, nothing, self}) : PyValue::tuple({self, nothing, nothing});
  }
  return PyValue::tuple({text_like(self, text.substr(0, at)), text_like(self, separator),
                         text_like(self, text.substr(at + separator.size()))});
}

PyValue str_expandtabs(Interpreter& interpreter, const PyValue& self, const Args& args) {
  Parameters given("expandtabs", args, {"tabsize"});
  Int tab = std::clamp<Int>(given.integer(0, 8), 0, 1 << 20);
  std::string out;
  Int column = 0;
  for (char c : self.bytes()) {
    if (c == '\t') {
      size_t spaces = tab > 0 ? static_cast<size_t>(tab - column % tab) : 0;
      interpreter.budget().charge_text(out.size() + spaces);
      out.append(spaces, ' ');
      column += static_cast<Int>(spaces);
      continue;
    }
    out += c;
    if (c == '\n' || c == '\r') {
      column = 0;
    } else if ((c & 0xC0) != 0x80) {
      ++column;
    }
  }
  return text_like(self, std::move(out));
}

constexpr auto kMethods = std::to_array<std::pair<std::string_view, Method>>({
    {"strip", str_strip<Side::kBoth>}, {"lstrip", str_strip<Side::kLeft>}, {"rstrip", str_strip<Side::kRight>},
    {"split", str_split<false>}, {"rsplit", str_split<true>}, {"splitlines", str_splitlines},
    {"startswith", str_has_affix<true>}, {"endswith", str_has_affix<false>},
    {"find", str_find<false, false>}, {"rfind", str_find<true, false>},
    {"index", str_find<false, true>}, {"rindex", str_find<true, true>}, {"count", str_count},
    {"replace", str_replace}, {"join", str_join}, {"format", str_format}, {"format_map", str_format_map},
    {"upper", str_case<to_upper>}, {"lower", str_case<to_lower>}, {"title", str_case<to_title>},
    {"capitalize", str_case<capitalize>}, {"swapcase", str_case<swap_case>}, {"casefold", str_case<to_casefold>},
    {"isdigit", str_all<is_digit>}, {"isdecimal", str_all<is_decimal>}, {"isnumeric", str_all<is_numeric>},
    {"isalpha", str_all<is_alpha>}, {"isalnum", str_all<is_alphanumeric>}, {"isspace", str_all<is_space>},
    {"isascii", str_all<is_ascii_character, true>}, {"isprintable", str_all<is_printable, true>},
    {"isupper", str_is_case<is_upper, is_lower>}, {"islower", str_is_case<is_lower, is_upper>},
    {"istitle", str_istitle}, {"isidentifier", str_isidentifier},
    {"zfill", str_zfill}, {"center", str_pad<Side::kBoth>},
    {"ljust", str_pad<Side::kRight>}, {"rjust", str_pad<Side::kLeft>},
    {"removeprefix", str_remove_affix<true>}, {"removesuffix", str_remove_affix<false>},
    {"partition", str_partition<false>}, {"rpartition", str_partition<true>}, {"expandtabs", str_expandtabs},
});

}  // namespace

Method find_string_method(std::string_view name) {
  for (const auto& [held, method] : kMethods) {
    if (held == name) return method;
  }
  return nullptr;
}

}  // namespace hearth::text::jinja
