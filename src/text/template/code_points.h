// Code points of UTF-8 text, the unit Python counts strings in, and the Unicode properties Python's string methods
// ask for. A byte that continues no sequence belongs to the character before it; nothing here fails on bad UTF-8.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::text::jinja {

/// Byte offset of the code point `count` characters after byte `from`; text.size() when there are fewer.
size_t byte_offset(std::string_view text, size_t from, size_t count);

/// Number of code points in text.
size_t code_point_count(std::string_view text);

/// One view per code point.
std::vector<std::string_view> split_code_points(std::string_view text);

/// The code point that starts at text[pos]; pos moves behind it. U+FFFD for bytes that are no UTF-8.
char32_t next_code_point(std::string_view text, size_t& pos);
void append_code_point(std::string& text, char32_t code_point);

// As Python's str methods judge one character.
bool is_space(char32_t c);
bool is_alpha(char32_t c);
bool is_decimal(char32_t c);
bool is_digit(char32_t c);
bool is_numeric(char32_t c);
bool is_upper(char32_t c);
bool is_lower(char32_t c);
bool is_title(char32_t c);
bool is_printable(char32_t c);

std::string to_upper(std::string_view text);
std::string to_lower(std::string_view text);
std::string to_casefold(std::string_view text);
std::string capitalize(std::string_view text);
std::string swap_case(std::string_view text);
std::string to_title(std::string_view text);  // str.title(): a word starts behind every character that has no case

}  // namespace hearth::text::jinja
