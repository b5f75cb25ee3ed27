#include "text/template/word_wrap.h"

#include <algorithm>

#include "text/template/code_points.h"

namespace hearth::text::jinja {
namespace {

bool is_blank(char c) { return c == ' ' || (c >= 9 && c <= 13); }

bool is_letter_at(std::string_view word, size_t pos) {
  if (pos >= word.size()) return false;
  char32_t c = next_code_point(word, pos);
  return is_alpha(c) || c == '_';
}

/// Whether a line may end behind the hyphen at `at`: two letters before it, two word characters after.
bool may_break(std::string_view word, size_t at) {
  if (at < 2 || !is_letter_at(word, at + 1)) return false;
  size_t before = at;
  int letters = 0;
  while (before > 0 && letters < 2) {
    do --before;
    while (before > 0 && (word[before] & 0xC0) == 0x80);
    if (!is_letter_at(word, before)) return false;
    ++letters;
  }
  size_t second = byte_offset(word, at + 1, 1);
  return letters == 2 && (is_letter_at(word, second) || (second < word.size() && word[second] == '-'));
}

/// Words and the white space between them; compound words in pieces that end with their hyphens.
std::vector<std::string_view> chunks_of(std::string_view text, bool on_hyphens) {
  std::vector<std::string_view> chunks;
  for (size_t pos = 0; pos < text.size();) {
    size_t end = pos;
    while (end < text.size() && is_blank(text[end]) == is_blank(text[pos])) ++end;
    std::string_view word = text.substr(pos, end - pos);
    size_t begin = 0;
    for (size_t at = word.find('-'); on_hyphens && at != std::string_view::npos; at = word.find('-', at + 1)) {
      if (!may_break(word, at)) continue;
      chunks.push_back(word.substr(begin, at + 1 - begin));
      begin = at + 1;
    }
    if (begin < word.size()) chunks.push_back(word.substr(begin));
    pos = end;
  }
  return chunks;
}

/// Where to cut a word that is too long: behind its last hyphen within the room, or at the room's end.
size_t cut_position(std::string_view word, size_t room, bool on_hyphens) {
  size_t end = byte_offset(word, 0, room);
  if (!on_hyphens) return end;
  size_t hyphen = word.substr(0, end).rfind('-');
  bool usable = hyphen != std::string_view::npos && hyphen > 0 &&
                word.substr(0, hyphen).find_first_not_of('-') != std::string_view::npos;
  return usable ? hyphen + 1 : end;
}

}  // namespace

std::vector<std::string> wrap_words(std::string_view paragraph, const WrapStyle& style) {
  std::vector<std::string_view> chunks = chunks_of(paragraph, style.break_on_hyphens);
  std::reverse(chunks.begin(), chunks.end());  // the next chunk is at the back
  std::vector<std::string> lines;
  while (!chunks.empty()) {
    std::vector<std::string_view> line;
    size_t length = 0;
    if (is_blank(chunks.back()[0]) && !lines.empty()) chunks.pop_back();
    while (!chunks.empty()) {
      size_t next = code_point_count(chunks.back());
      if (length + next > style.width) break;
      line.push_back(chunks.back());
      chunks.pop_back();
      length += next;
    }
    if (!chunks.empty() && code_point_count(chunks.back()) > style.width) {
      if (style.break_long_words) {
        size_t room = style.width > length ? style.width - length : 1;
        size_t cut = cut_position(chunks.back(), room, style.break_on_hyphens);
        line.push_back(chunks.back().substr(0, cut));
        chunks.back().remove_prefix(cut);
        if (chunks.back().empty()) chunks.pop_back();
      } else if (line.empty()) {
        line.push_back(chunks.back());
        chunks.pop_back();
      }
    }
    if (!line.empty() && is_blank(line.back()[0])) line.pop_back();
    if (line.empty()) continue;
    std::string& text = lines.emplace_back();
    for (std::string_view chunk : line) text += chunk;
  }
  return lines;
}

}  // namespace hearth::text::jinja
