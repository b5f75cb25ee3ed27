#include "text/template/code_points.h"

#include <algorithm>

#include <utf8proc.h>

namespace hearth::text::jinja {
namespace {

bool continues(char byte) { return (byte & 0xC0) == 0x80; }

utf8proc_category_t category(char32_t c) { return utf8proc_category(static_cast<utf8proc_int32_t>(c)); }

bool has_case(char32_t c) { return is_upper(c) || is_lower(c) || is_title(c); }

/// Characters whose upper case is more than one character (Unicode's SpecialCasing, the ones text really carries).
std::string_view special_upper(char32_t c) {
  switch (c) {
    case 0x00DF: return "SS";
    case 0x0149: return "\u02BCN";
    case 0x01F0: return "J\u030C";
    case 0x0390: return "\u0399\u0308\u0301";
    case 0x03B0: return "\u03A5\u0308\u0301";
    case 0x0587: return "\u0535\u0552";
    case 0xFB00: return "FF";
    case 0xFB01: return "FI";
    case 0xFB02: return "FL";
    case 0xFB03: return "FFI";
    case 0xFB04: return "FFL";
    case 0xFB05:
    case 0xFB06: return "ST";
    default: return {};
  }
}

void append_upper(std::string& text, char32_t c) {
  if (std::string_view special = special_upper(c); !special.empty()) {
    text += special;
  } else {
    append_code_point(text, static_cast<char32_t>(utf8proc_toupper(static_cast<utf8proc_int32_t>(c))));
  }
}

void append_title(std::string& text, char32_t c) {
  if (c == 0x00DF) {
    text += "Ss";
  } else if (c >= 0xFB00 && c <= 0xFB06) {
    std::string upper(special_upper(c));
    text += upper[0];
    text += to_lower(std::string_view(upper).substr(1));
  } else {
    append_code_point(text, static_cast<char32_t>(utf8proc_totitle(static_cast<utf8proc_int32_t>(c))));
  }
}

/// Sigma is written differently at the end of a word: when a cased letter precedes it and none follows.
class WordPosition {
 public:
  void pass(char32_t c) {
    if (has_case(c)) {
      cased_before_ = true;
    } else if (category(c) != UTF8PROC_CATEGORY_MN && c != U'\'') {
      cased_before_ = false;
    }
  }
  bool is_final(std::string_view text, size_t end) const {
    return cased_before_ && (end >= text.size() || !has_case(next_code_point(text, end)));
  }

 private:
  bool cased_before_ = false;
};

void append_lower(std::string& lowered, char32_t c, bool final_sigma = false) {
  if (c == 0x0130) {
    lowered += "i\u0307";
  } else if (c == 0x03A3) {
    append_code_point(lowered, final_sigma ? 0x03C2 : 0x03C3);
  } else {
    append_code_point(lowered, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
  }
}

char32_t peek(std::string_view text, size_t pos) { return next_code_point(text, pos); }

}  // namespace

size_t byte_offset(std::string_view text, size_t from, size_t count) {
  size_t pos = from;
  while (count > 0 && pos < text.size()) {
    do ++pos;
    while (pos < text.size() && continues(text[pos]));
    --count;
  }
  return pos;
}

size_t code_point_count(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return !continues(c); }));
}

std::vector<std::string_view> split_code_points(std::string_view text) {
  std::vector<std::string_view> characters;
  for (size_t pos = 0; pos < text.size();) {
    size_t next = byte_offset(text, pos, 1);
    characters.push_back(text.substr(pos, next - pos));
    pos = next;
  }
  return characters;
}

char32_t next_code_point(std::string_view text, size_t& pos) {
  size_t next = byte_offset(text, pos, 1);
  utf8proc_int32_t code_point = -1;
  auto length = static_cast<utf8proc_ssize_t>(next - pos);
  auto used = utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data() + pos), length, &code_point);
  pos = next;
  return used == length ? static_cast<char32_t>(code_point) : U'\uFFFD';
}

void append_code_point(std::string& text, char32_t code_point) {
  utf8proc_uint8_t encoded[4];
  auto length = utf8proc_encode_char(static_cast<utf8proc_int32_t>(code_point), encoded);
  if (length <= 0) {
    text += "\uFFFD";
    return;
  }
  text.append(reinterpret_cast<const char*>(encoded), static_cast<size_t>(length));
}

bool is_space(char32_t c) {
  return (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_alpha(char32_t c) {
  auto kind = category(c);
  return kind == UTF8PROC_CATEGORY_LU || kind == UTF8PROC_CATEGORY_LL || kind == UTF8PROC_CATEGORY_LT ||
         kind == UTF8PROC_CATEGORY_LM || kind == UTF8PROC_CATEGORY_LO;
}

bool is_decimal(char32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }

bool is_digit(char32_t c) {
  bool raised = c == 0xB2 || c == 0xB3 || c == 0xB9 || c == 0x2070 || (c >= 0x2074 && c <= 0x2079);
  bool lowered_or_circled = (c >= 0x2080 && c <= 0x2089) || (c >= 0x2460 && c <= 0x2468);
  return is_decimal(c) || raised || lowered_or_circled;
}

bool is_numeric(char32_t c) {
  auto kind = category(c);
  return is_digit(c) || kind == UTF8PROC_CATEGORY_NO || kind == UTF8PROC_CATEGORY_NL;
}

bool is_upper(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LU; }
bool is_lower(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LL || c == 0xAA || c == 0xBA; }
bool is_title(char32_t c) { return category(c) == UTF8PROC_CATEGORY_LT; }

bool is_printable(char32_t c) {
  if (c == ' ') return true;
  switch (category(c)) {
    case UTF8PROC_CATEGORY_CN:
    case UTF8PROC_CATEGORY_CC:
    case UTF8PROC_CATEGORY_CF:
    case UTF8PROC_CATEGORY_CS:
    case UTF8PROC_CATEGORY_CO:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP:
    case UTF8PROC_CATEGORY_ZS: return false;
    default: return true;
  }
}

std::string to_upper(std::string_view text) {
  std::string raised;
  for (size_t pos = 0; pos < text.size();) append_upper(raised, next_code_point(text, pos));
  return raised;
}

std::string to_lower(std::string_view text) {
  std::string lowered;
  WordPosition word;
  for (size_t pos = 0; pos < text.size();) {
    char32_t c = next_code_point(text, pos);
    append_lower(lowered, c, c == 0x03A3 && word.is_final(text, pos));
    word.pass(c);
  }
  return lowered;
}

std::string to_casefold(std::string_view text) {
  std::string folded;
  for (size_t pos = 0; pos < text.size();) {
    char32_t c = next_code_point(text, pos);
    if (std::string_view special = special_upper(c); !special.empty()) {
      folded += to_lower(special);
    } else if (c == 0x03C2) {
      append_code_point(folded, 0x03C3);
    } else {
      append_code_point(folded, static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c))));
    }
  }
  return folded;
}

std::string capitalize(std::string_view text) {
  if (text.empty()) return {};
  std::string result;
  size_t pos = 0;
  append_title(result, next_code_point(text, pos));
  return result + to_lower(text.substr(pos));
}

std::string swap_case(std::string_view text) {
  std::string swapped;
  for (size_t pos = 0; pos < text.size();) {
    char32_t c = next_code_point(text, pos);
    if (is_upper(c)) {
      append_lower(swapped, c);
    } else {
      append_upper(swapped, c);
    }
  }
  return swapped;
}

std::string to_title(std::string_view text) {
  std::string titled;
  bool in_word = false;
  for (size_t pos = 0; pos < text.size();) {
    char32_t c = next_code_point(text, pos);
    if (in_word) {
      append_lower(titled, c, c == 0x03A3 && (pos >= text.size() || !is_alpha(peek(text, pos))));
    } else {
      append_title(titled, c);
    }
    in_word = has_case(c);
  }
  return titled;
}

}  // namespace hearth::text::jinja
