// UTF-8 and the few Unicode facts the text module needs. Every function is pure and may be called from any thread.
// "Valid" means well-formed UTF-8: no overlong forms, no surrogates, nothing above U+10FFFF.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hearth::text {

inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

struct CodePoint {
  uint32_t value = 0;
  uint32_t bytes = 0;  // 0: the text does not start with a whole valid sequence
};

/// First code point of a text; bytes == 0 when the text is empty or malformed there.
CodePoint first_code_point(std::string_view text);

void append_utf8(std::string& out, uint32_t code_point);

/// Length of the sequence a lead byte announces; 1 for bytes that cannot lead. For text known to be valid.
inline uint32_t sequence_length(unsigned char lead) {
  if (lead < 0xC0) return 1;
  if (lead < 0xE0) return 2;
  return lead < 0xF0 ? 3 : 4;
}

bool is_valid_utf8(std::string_view text);

/// Malformed stretches become U+FFFD, one for each maximal part of a sequence (as the Unicode standard recommends).
std::string to_valid_utf8(std::string_view text);

/// How a text ends: the last `pending` bytes are the start of a sequence that more bytes could complete.
size_t pending_utf8_bytes(std::string_view text);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };
std::string normalize(std::string_view valid_text, NormalForm form);

bool is_space(uint32_t code_point);        // White_Space
bool is_punctuation(uint32_t code_point);  // general category P*
bool is_mark(uint32_t code_point);         // general category M*
bool is_nonspacing_mark(uint32_t code_point);
bool is_control(uint32_t code_point);      // general categories Cc, Cf, Co
bool is_word(uint32_t code_point);         // letters, marks, decimal digits, connectors: \w
bool is_cjk_ideograph(uint32_t code_point);

/// Lower case of one code point, which may be several.
void append_lower(std::string& out, uint32_t code_point);

/// Length in bytes of the first extended grapheme cluster of a valid text.
size_t first_grapheme_bytes(std::string_view valid_text);

}  // namespace hearth::text
