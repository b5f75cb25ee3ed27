// DigitGroups: patterns that cut a run of digits in threes counted from its end, such as \d{1,3}(?=(?:\d{3})*\b). As a
// regular expression each match looks ahead to the end of the run, which takes time in the square of its length; here a
// run is read once. Immutable, shared by threads.
#pragma once
#include <optional>
#include <string_view>
#include <vector>

#include "text/tokenize/regex.h"

namespace hearth::text {

class DigitGroups {
 public:
  /// Nothing when the pattern is no such one.
  static std::optional<DigitGroups> from_pattern(std::string_view pattern);

  /// What searching again and again with the pattern finds in a valid UTF-8 text, in order.
  std::vector<Match> find(std::string_view text, RegexScratch& scratch) const;

 private:
  DigitGroups(std::string_view digit, std::string_view tail, bool takes_groups);

  Regex run_;                // a whole run of digits
  Regex run_that_counts_;    // the same at the place of the search, where what follows is as the pattern wants it
  bool takes_groups_;        // matches are the groups, not the empty places between them
};

}  // namespace hearth::text
