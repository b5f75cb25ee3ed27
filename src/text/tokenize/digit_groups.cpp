#include "text/tokenize/digit_groups.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "text/unicode.h"

namespace hearth::text {
namespace {

size_t count_characters(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

size_t skip_characters(std::string_view text, size_t at, size_t n) {
  for (; n > 0; --n) at += sequence_length(static_cast<unsigned char>(text[at]));
  return at;
}

}  // namespace

DigitGroups::DigitGroups(std::string_view digit, std::string_view tail, bool takes_groups)
    : run_(fmt::format("{}++", digit)), run_that_counts_(fmt::format(R"(\G{}++{})", digit, tail)),
      takes_groups_(takes_groups) {}

std::optional<DigitGroups> DigitGroups::from_pattern(std::string_view pattern) {
  for (const char* digit : {R"(\d)", R"(\p{N})", R"(\p{Nd})", "[0-9]"}) {
    const std::string not_digit = fmt::format("(?!{})", digit);
    // Inside a run there is no word boundary, so each of these ends a run or nothing.
    for (std::string_view tail : {std::string_view(R"(\b)"), std::string_view(not_digit)}) {
      for (const char* open : {"(?:", "("}) {
        if (pattern == fmt::format("{0}{{1,3}}(?={1}{0}{{3}})*{2})", digit, open, tail)) {
          return DigitGroups(digit, tail, true);
        }
        if (pattern == fmt::format("(?={1}{0}{{3}})+{2})", digit, open, tail)) return DigitGroups(digit, tail, false);
      }
    }
  }
  return std::nullopt;
}

std::vector<Match> DigitGroups::find(std::string_view text, RegexScratch& scratch) const {
  std::vector<Match> out;
  Match run, same;
  for (size_t from = 0; run_.search(text, from, scratch, run); from = run.end) {
    if (!run_that_counts_.search(text, run.begin, scratch, same)) continue;
    const size_t odd = count_characters(text.substr(run.begin, run.end - run.begin)) % 3;
    size_t at = skip_characters(text, run.begin, odd);
    if (takes_groups_ && odd > 0) out.push_back({run.begin, at});
    while (at < run.end) {
      const size_t end = skip_characters(text, at, 3);
      out.push_back({at, takes_groups_ ? end : at});
      at = end;
    }
  }
  return out;
}

}  // namespace hearth::text
