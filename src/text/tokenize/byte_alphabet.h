// The alphabet of byte-level vocabularies: each of the 256 bytes is written as one printable character, so that "hello
// world" reads "helloĠworld". Pure functions.
#pragma once
#include <optional>
#include <string>
#include <string_view>

namespace hearth::text {

/// Writes the characters of every byte of `bytes` to the end of `out`.
void append_byte_alphabet(std::string& out, std::string_view bytes);

/// The bytes a spelling stands for, or nothing when it holds a character outside the alphabet.
std::optional<std::string> from_byte_alphabet(std::string_view spelling);

}  // namespace hearth::text
