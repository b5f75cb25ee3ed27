#include "text/template/text_ops.h"

#include <algorithm>

#include "text/template/code_points.h"

namespace hearth::text::jinja {
namespace {

/// Start of the last code point of text[0, end).
size_t last_code_point(std::string_view text, size_t end) {
  size_t pos = end - 1;
  while (pos > 0 && (text[pos] & 0xC0) == 0x80) --pos;
  return pos;
}

bool is_line_end(char32_t c) {
  return (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
}

size_t skip_space(std::string_view text, size_t pos) {
  while (pos < text.size()) {
    size_t next = pos;
    if (!is_space(next_code_point(text, next))) break;
    pos = next;
  }
  return pos;
}

size_t skip_space_back(std::string_view text, size_t end) {
  while (end > 0) {
    size_t begin = last_code_point(text, end);
    size_t pos = begin;
    if (!is_space(next_code_point(text, pos))) break;
    end = begin;
  }
  return end;
}

std::vector<std::string_view> split_space_from_right(std::string_view text, int64_t max_splits) {
  std::vector<std::string_view> parts;
  size_t end = skip_space_back(text, text.size());
  while (end > 0) {
    if (max_splits >= 0 && static_cast<int64_t>(parts.size()) == max_splits) {
      parts.push_back(text.substr(0, end));
      break;
    }
    size_t begin = end;
    while (begin > 0) {
      size_t previous = last_code_point(text, begin);
      size_t pos = previous;
      if (is_space(next_code_point(text, pos))) break;
      begin = previous;
    }
    parts.push_back(text.substr(begin, end - begin));
    end = skip_space_back(text, begin);
  }
  std::reverse(parts.begin(), parts.end());
  return parts;
}

}  // namespace

std::string_view strip(std::string_view text, Side side, std::optional<std::string_view> characters) {
  auto cuts = [&](std::string_view character) {
    if (characters) {  // whole characters: a byte of one must not match inside another
      size_t at = characters->find(character);
      return at != std::string_view::npos;
    }
    size_t pos = 0;
    return is_space(next_code_point(character, pos));
  };
  if (side != Side::kRight) {
    while (!text.empty() && cuts(text.substr(0, byte_offset(text, 0, 1)))) text.remove_prefix(byte_offset(text, 0, 1));
  }
  if (side != Side::kLeft) {
    while (!text.empty() && cuts(text.substr(last_code_point(text, text.size())))) {
      text = text.substr(0, last_code_point(text, text.size()));
    }
  }
  return text;
}

std::vector<std::string_view> split_space(std::string_view text, int64_t max_splits, bool from_right) {
  if (from_right) return split_space_from_right(text, max_splits);
  std::vector<std::string_view> parts;
  size_t pos = skip_space(text, 0);
  while (pos < text.size()) {
    if (max_splits >= 0 && static_cast<int64_t>(parts.size()) == max_splits) {
      parts.push_back(text.substr(pos));
      break;
    }
    size_t end = pos;
    while (end < text.size()) {
      size_t next = end;
      if (is_space(next_code_point(text, next))) break;
      end = next;
    }
    parts.push_back(text.substr(pos, end - pos));
    pos = skip_space(text, end);
  }
  return parts;
}

std::vector<std::string_view> split_at(std::string_view text, std::string_view separator, int64_t max_splits,
                                       bool from_right) {
  std::vector<std::string_view> parts;
  auto may_split = [&] { return max_splits < 0 || static_cast<int64_t>(parts.size()) < max_splits; };
  if (!from_right) {
    size_t at;
    while (may_split() && (at = text.find(separator)) != std::string_view::npos) {
      parts.push_back(text.substr(0, at));
      text.remove_prefix(at + separator.size());
    }
    parts.push_back(text);
    return parts;
  }
  size_t at;
  while (may_split() && (at = text.rfind(separator)) != std::string_view::npos) {
    parts.push_back(text.substr(at + separator.size()));
    text = text.substr(0, at);
  }
  parts.push_back(text);
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<std::string_view> split_lines(std::string_view text, bool keep_ends) {
  std::vector<std::string_view> lines;
  size_t begin = 0;
  for (size_t pos = 0; pos < text.size();) {
    size_t end = pos;
    if (!is_line_end(next_code_point(text, pos))) continue;
    if (text[end] == '\r' && pos < text.size() && text[pos] == '\n') ++pos;
    lines.push_back(text.substr(begin, (keep_ends ? pos : end) - begin));
    begin = pos;
  }
  if (begin < text.size()) lines.push_back(text.substr(begin));
  return lines;
}

std::string replace_text(std::string_view text, std::string_view from, std::string_view to, int64_t count,
                         Budget& budget) {
  std::string out;
  auto append = [&](std::string_view piece) {
    if (out.size() + piece.size() > budget.limits().max_output) budget.charge_text(out.size() + piece.size());
    out += piece;
  };
  budget.charge_search(text.size(), from.size());
  size_t pos = 0;
  for (int64_t done = 0; count < 0 || done < count; ++done) {
    budget.charge();
    if (from.empty()) {
      append(to);
      if (pos >= text.size()) break;
      size_t next = byte_offset(text, pos, 1);
      append(text.substr(pos, next - pos));
      pos = next;
      continue;
    }
    size_t at = text.find(from, pos);
    if (at == std::string_view::npos) break;
    append(text.substr(pos, at - pos));
    append(to);
    pos = at + from.size();
  }
  if (pos < text.size()) append(text.substr(pos));
  budget.charge_text(std::max(out.size(), text.size()));
  return out;
}

std::string pad_text(const TextBox& text, Int width, Side side, std::string_view fill, Budget& budget) {
  Int missing = width - static_cast<Int>(text.n_code_points);
  if (missing <= 0) return text.bytes;
  size_t padding = static_cast<size_t>(std::min<Int>(missing, INT32_MAX));
  budget.charge_text(text.bytes.size() + padding * fill.size());
  size_t left = side == Side::kRight ? 0 : padding;
  if (side == Side::kBoth) left = padding / 2 + (padding & static_cast<size_t>(width) & 1);
  auto run = [&](size_t count) {
    std::string spaces;
    for (size_t i = 0; i < count; ++i) spaces += fill;
    return spaces;
  };
  return run(left) + text.bytes + run(padding - left);
}

}  // namespace hearth::text::jinja
