#include "doctor/explain/catalogue.h"

#include <algorithm>
#include <cctype>
#include <utility>

#include "doctor/context.h"
#include "formats/json/json.h"

namespace hearth::embedded {
std::string_view doctor_errors();
}

namespace hearth::doctor {
namespace {

// Lower case, one blank where there were several, and nothing of the marks that pages put around code.
std::string plain(std::string_view text) {
  std::string result;
  for (char c : lower(text)) {
    if (c == '`') continue;
    const bool is_blank = std::isspace(static_cast<unsigned char>(c));
    if (is_blank && (result.empty() || result.back() == ' ')) continue;
    result += is_blank ? ' ' : c;
  }
  if (!result.empty() && result.back() == ' ') result.pop_back();
  return result;
}

// Letters matched, or 0: every part between the stars, in order.
int match_pattern(std::string_view line, std::string_view pattern) {
  int letters = 0;
  size_t at = 0;
  while (!pattern.empty()) {
    const size_t star = std::min(pattern.find('*'), pattern.size());
    const std::string_view part = pattern.substr(0, star);
    const size_t found = line.find(part, at);
    if (found == line.npos) return 0;
    at = found + part.size();
    letters += static_cast<int>(part.size());
    pattern.remove_prefix(std::min(star + 1, pattern.size()));
  }
  return letters;
}

std::string text_of(const Value& object, const char* key) {
  const Value* value = object.find(key);
  return value ? value->as_string() : "";
}

KnownError entry_of(const Value& value) {
  KnownError entry{.id = value.at("id").as_string(), .title = value.at("title").as_string()};
  for (const Value& pattern : value.at("patterns").as_list()) entry.patterns.push_back(plain(pattern.as_string()));
  if (const Value* symptoms = value.find("symptoms")) {
    for (const Value& symptom : symptoms->as_list()) entry.symptoms.push_back(plain(symptom.as_string()));
  }
  entry.example = value.at("example").as_string();
  entry.cause = value.at("cause").as_string();
  for (const Value& cure : value.at("cures").as_list()) {
    entry.cures.push_back({text_of(cure, "command"), text_of(cure, "text"), text_of(cure, "when")});
  }
  entry.versions = text_of(value, "versions");
  entry.evidence = value.at("evidence").as_string();
  entry.source = value.at("source").as_string();
  for (const Value& row : value.at("rows").as_list()) entry.rows.push_back(static_cast<int>(row.as_int()));
  return entry;
}

enum class Words { kMessages, kAlsoSymptoms };

// A text line by line, as it was said and as it is compared.
struct Lines {
  std::vector<std::string> said, plain;
};

Lines lines_of_text(std::string_view text) {
  constexpr size_t kMostWrapped = 12;
  Lines lines{.said = machine::lines_of(text)};
  // A message that was wrapped when it was copied is also looked at as one line.
  const bool may_be_wrapped = lines.said.size() > 1 && lines.said.size() <= kMostWrapped;
  if (may_be_wrapped) lines.said.push_back(trimmed(text));
  for (const std::string& line : lines.said) lines.plain.push_back(plain(line));
  return lines;
}

// The best line of the text for one entry.
Match best_match(const KnownError& error, const Lines& lines, Words words) {
  Match best{&error, "", 0};
  auto look_for = [&](const std::vector<std::string>& patterns) {
    for (size_t i = 0; i < lines.plain.size(); ++i) {
      for (const std::string& pattern : patterns) {
        const int score = match_pattern(lines.plain[i], pattern);
        if (score > best.score) best = {&error, lines.said[i], score};
      }
    }
  };
  look_for(error.patterns);
  if (words == Words::kAlsoSymptoms) look_for(error.symptoms);
  return best;
}

template <class Wanted>
std::vector<Match> match_all(std::string_view text, Words words, Wanted is_wanted) {
  const Lines lines = lines_of_text(text);
  std::vector<Match> matches;
  for (const KnownError& error : known_errors()) {
    if (!is_wanted(error)) continue;
    Match match = best_match(error, lines, words);
    if (match.score > 0) matches.push_back(std::move(match));
  }
  std::ranges::stable_sort(matches, std::greater(), &Match::score);
  return matches;
}

bool any(const KnownError&) { return true; }

}  // namespace

Result<std::vector<KnownError>> parse_errors(std::string_view text) {
  Result<Value> root = json::parse(text);
  if (!root) return unexpected(root.error());
  std::vector<KnownError> entries;
  try {
    for (const Value& entry : root->at("errors").as_list()) entries.push_back(entry_of(entry));
  } catch (const Error& error) {
    const std::string after = entries.empty() ? "the first entry" : "the entry after '" + entries.back().id + "'";
    return unexpected(Code::kCorruptFile, "catalogue of errors, " + after + ": " + error.message());
  }
  return entries;
}

const std::vector<KnownError>& known_errors() {
  static const std::vector<KnownError> entries = parse_errors(embedded::doctor_errors()).value();
  return entries;
}

std::vector<Match> explain(std::string_view text) { return match_all(text, Words::kAlsoSymptoms, any); }

std::vector<Match> explain_row(std::string_view text, int row) {
  return match_all(text, Words::kMessages,
                   [row](const KnownError& error) { return std::ranges::count(error.rows, row) > 0; });
}

bool is_known_message(std::string_view line) { return !match_all(line, Words::kMessages, any).empty(); }

}  // namespace hearth::doctor
