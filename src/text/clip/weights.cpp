#include "text/clip/weights.h"

#include <charconv>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "core/base/error.h"
#include "text/unicode.h"

namespace hearth::text {
namespace {

constexpr double kStep = 1.1;
// Stand-ins for escaped parentheses while the plain ones are read.
constexpr std::string_view kClose("\0\1", 2), kOpen("\0\2", 2);

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string out;
  out.reserve(text.size());
  for (size_t at; (at = text.find(from)) != text.npos; text.remove_prefix(at + from.size())) {
    out.append(text.substr(0, at)).append(to);
  }
  return out.append(text);
}

// Cuts at the outermost parentheses. A ")" too many makes the depth negative, and the "(" after it closes that again
// instead of opening a group: the reference does so.
std::vector<std::string_view> outermost_groups(std::string_view text) {
  std::vector<std::string_view> parts;
  size_t begin = 0;
  int64_t depth = 0;
  auto cut = [&](size_t end) {
    if (end > begin) parts.push_back(text.substr(begin, end - begin));
    begin = end;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '(' && depth++ == 0) cut(i);
    if (text[i] == ')' && --depth == 0) cut(i + 1);
  }
  cut(text.size());
  return parts;
}

void read_weights(std::string_view text, double weight, int nesting, std::vector<WeightedText>& out) {
  if (nesting > kMaxWeightNesting) {
    throw Error(Code::kInvalidArgument,
                fmt::format("the prompt nests parentheses deeper than {}; write a weight as (words:1.3), or a plain "
                            "parenthesis as \\( and \\)",
                            kMaxWeightNesting));
  }
  for (std::string_view part : outermost_groups(text)) {
    bool is_group = part.size() >= 2 && part.front() == '(' && part.back() == ')';
    if (!is_group) {
      out.push_back({replace_all(replace_all(part, kClose, ")"), kOpen, "("), weight});
      continue;
    }
    part = part.substr(1, part.size() - 2);
    double inner = weight * kStep;
    size_t colon = part.rfind(':');
    if (colon != part.npos && colon > 0) {
      if (auto given = parse_python_float(part.substr(colon + 1))) {
        inner = *given;
        part = part.substr(0, colon);
      }
    }
    read_weights(part, inner, nesting + 1, out);
  }
}

std::string_view strip_python_spaces(std::string_view text) {
  auto first = [&] { return first_code_point(text); };
  while (first().bytes > 0 && is_python_space(first().value)) text.remove_prefix(first().bytes);
  while (!text.empty()) {
    size_t at = text.size() - 1;
    while (at > 0 && (text[at] & 0xC0) == 0x80) --at;
    CodePoint last = first_code_point(text.substr(at));
    if (last.bytes == 0 || !is_python_space(last.value)) break;
    text.remove_suffix(text.size() - at);
  }
  return text;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Takes "1_000" from the front of `text` into `out` without its '_'; false when there is no digit or a stray '_'.
bool take_digits(std::string_view& text, std::string& out) {
  if (text.empty() || !is_digit(text[0])) return false;
  while (!text.empty()) {
    if (is_digit(text[0])) {
      out.push_back(text[0]);
    } else if (text[0] != '_' || text.size() < 2 || !is_digit(text[1])) {
      break;
    }
    text.remove_prefix(1);
  }
  return true;
}

std::optional<double> parse_special(std::string_view text) {
  std::string lower;
  for (char c : text) lower.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
  if (lower == "inf" || lower == "infinity") return std::numeric_limits<double>::infinity();
  if (lower == "nan") return std::numeric_limits<double>::quiet_NaN();
  return std::nullopt;
}

}  // namespace

bool is_python_space(uint32_t c) {
  return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

std::optional<double> parse_python_float(std::string_view text) {
  text = strip_python_spaces(text);
  bool is_negative = text.starts_with('-');
  if (is_negative || text.starts_with('+')) text.remove_prefix(1);
  if (auto special = parse_special(text)) return is_negative ? -*special : *special;
  std::string plain;
  bool has_whole = take_digits(text, plain), has_fraction = false;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    plain.push_back('.');
    has_fraction = take_digits(text, plain);
  }
  if (!has_whole && !has_fraction) return std::nullopt;
  bool is_small = false;
  if (text.starts_with('e') || text.starts_with('E')) {
    text.remove_prefix(1);
    plain.push_back('e');
    if (text.starts_with('-') || text.starts_with('+')) {
      is_small = text[0] == '-';
      plain.push_back(text[0]);
      text.remove_prefix(1);
    }
    if (!take_digits(text, plain)) return std::nullopt;
  }
  if (!text.empty()) return std::nullopt;
  if (plain.front() == '.') plain.insert(0, "0");
  double value = 0;
  auto [end, error] = std::from_chars(plain.data(), plain.data() + plain.size(), value);
  if (error == std::errc::result_out_of_range) value = is_small ? 0 : std::numeric_limits<double>::infinity();
  return is_negative ? -value : value;
}

std::vector<WeightedText> split_weights(std::string_view prompt) {
  std::string escaped = replace_all(replace_all(prompt, "\\)", kClose), "\\(", kOpen);
  std::vector<WeightedText> out;
  read_weights(escaped, 1, 0, out);
  return out;
}

}  // namespace hearth::text
