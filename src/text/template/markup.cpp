#include "text/template/markup.h"

#include <array>
#include <charconv>
#include <utility>

#include "text/template/code_points.h"
#include "text/template/python_format.h"

namespace hearth::text::jinja {
namespace {

using Entity = std::pair<std::string_view, std::string_view>;
constexpr std::array<Entity, 12> kEntities = {{{"amp", "&"}, {"lt", "<"}, {"gt", ">"}, {"quot", "\""}, {"apos", "'"},
                                               {"nbsp", "\u00A0"}, {"copy", "\u00A9"}, {"reg", "\u00AE"},
                                               {"hellip", "\u2026"}, {"mdash", "\u2014"}, {"ndash", "\u2013"},
                                               {"euro", "\u20AC"}}};

std::string cut_out(std::string_view text, std::string_view open, std::string_view close) {
  std::string kept;
  size_t pos = 0;
  while (pos < text.size()) {
    size_t begin = text.find(open, pos);
    size_t end = begin == std::string_view::npos ? begin : text.find(close, begin);
    if (end == std::string_view::npos) break;
    kept += text.substr(pos, begin - pos);
    pos = end + close.size();
  }
  return kept + std::string(text.substr(pos));
}

std::string collapse_spaces(std::string_view text) {
  std::string collapsed;
  bool gap = false;
  for (size_t pos = 0; pos < text.size();) {
    size_t begin = pos;
    if (is_space(next_code_point(text, pos))) {
      gap = true;
      continue;
    }
    if (gap && !collapsed.empty()) collapsed += ' ';
    gap = false;
    collapsed += text.substr(begin, pos - begin);
  }
  return collapsed;
}

bool append_numeric(std::string& out, std::string_view digits) {
  bool hex = !digits.empty() && (digits[0] == 'x' || digits[0] == 'X');
  if (hex) digits.remove_prefix(1);
  uint32_t number = 0;
  auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), number, hex ? 16 : 10);
  if (failure != std::errc() || end != digits.data() + digits.size() || digits.empty()) return false;
  append_code_point(out, number);
  return true;
}

std::string unescape(std::string_view text) {
  std::string out;
  for (size_t pos = 0; pos < text.size();) {
    size_t end = text[pos] == '&' ? text.find(';', pos) : std::string_view::npos;
    bool replaced = false;
    if (end != std::string_view::npos && end - pos <= 12) {
      std::string_view name = text.substr(pos + 1, end - pos - 1);
      if (name.starts_with('#')) replaced = append_numeric(out, name.substr(1));
      for (const auto& [entity, character] : kEntities) {
        if (!replaced && entity == name) out += character, replaced = true;
      }
    }
    if (replaced) {
      pos = end + 1;
    } else {
      out += text[pos++];
    }
  }
  return out;
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string escaped;
  escaped.reserve(text.size());
  for (char c : text) {
    switch (c) {
      case '&': escaped += "&amp;"; break;
      case '<': escaped += "&lt;"; break;
      case '>': escaped += "&gt;"; break;
      case '"': escaped += "&#34;"; break;
      case '\'': escaped += "&#39;"; break;
      default: escaped += c;
    }
  }
  return escaped;
}

std::string markup_text(const PyValue& value, Budget& budget) {
  std::string text = py_str(value, budget);
  if (value.is_markup()) return text;
  std::string escaped = escape_html(text);
  budget.charge_text(escaped.size());
  return escaped;
}

std::string strip_tags(std::string_view text) {
  return unescape(collapse_spaces(cut_out(cut_out(text, "<!--", "-->"), "<", ">")));
}

}  // namespace hearth::text::jinja
