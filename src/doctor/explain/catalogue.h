// The catalogue of error messages: assets/doctor/errors.json, part of the program. Data, not code: an entry holds
// patterns, an example, the cause and the cures with the versions they hold for. Immutable after loading.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"

namespace hearth::doctor {

struct KnownCure {
  std::string command, text;
  std::string when;  // "Triton 3.5 and older"; "" always
};

struct KnownError {
  std::string id, title;
  // Any of them, in one line; '*' stands for any text; case and blanks do not count.
  std::vector<std::string> patterns;  // what programs print
  std::vector<std::string> symptoms;  // how people and guides tell it: never looked for in a log
  std::string example;
  std::string cause;
  std::vector<KnownCure> cures;
  std::string versions;               // what the entry is bounded to; "" none
  std::string evidence, source;       // kind: vendor, maintainer, measured, compiled, reported; and where
  std::vector<int> rows;              // of the doctor's table
};

/// The built-in catalogue.
const std::vector<KnownError>& known_errors();
/// kCorruptFile saying what is wrong; used for the built-in one and in tests.
Result<std::vector<KnownError>> parse_errors(std::string_view json);

struct Match {
  const KnownError* error;
  std::string line;  // the line of the text that it was found in
  int score;         // letters of the pattern that had to be there
};

/// Everything that is known about a pasted error or a log, the most specific first.
std::vector<Match> explain(std::string_view text);

/// The lines of a log that show row `row` of the table, if any: what programs print, not how people tell it.
std::vector<Match> explain_row(std::string_view text, int row);

/// A line as some program prints it when it fails.
bool is_known_message(std::string_view line);

}  // namespace hearth::doctor
