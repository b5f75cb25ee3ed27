// Filling lines with words as Python's textwrap.wrap does, for the wordwrap filter.
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::text::jinja {

struct WrapStyle {
  size_t width = 79;             // code points
  bool break_long_words = true;  // cut a word that is longer than a line
  bool break_on_hyphens = true;  // a line may end behind the hyphen of a compound word
};

/// The lines of one paragraph, none when it holds only white space.
std::vector<std::string> wrap_words(std::string_view paragraph, const WrapStyle& style);

}  // namespace hearth::text::jinja
