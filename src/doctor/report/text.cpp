#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "doctor/report/report.h"

namespace hearth::doctor {
namespace {

constexpr std::array kWorstFirst = {Verdict::kFailure, Verdict::kWarning, Verdict::kNote, Verdict::kUnknown,
                                    Verdict::kOk};
constexpr size_t kColumns = 112;

class Page {
 public:
  explicit Page(bool has_colour) : has_colour_(has_colour) {}

  std::string painted(std::string_view text, Verdict verdict) const {
    constexpr const char* kColours[] = {"32", "36", "33", "31", "90"};
    if (!has_colour_) return std::string(text);
    return fmt::format("\x1b[{}m{}\x1b[0m", kColours[static_cast<int>(verdict)], text);
  }

  void line(std::string_view text = "") { text_ += std::string(text) + "\n"; }

  // Words wrapped behind a heading; further lines stand below the text.
  void wrapped(const std::string& heading, const std::string& text) {
    const std::string indent(heading.size(), ' ');
    std::string current = heading;
    for (const std::string& word : words_of(text)) {
      if (current.size() + word.size() > kColumns && current.size() > indent.size()) {
        line(current);
        current = indent;
      }
      current += (current.size() > indent.size() ? " " : "") + word;
    }
    line(current);
  }

  std::string take() { return std::move(text_); }

 private:
  bool has_colour_;
  std::string text_;
};

void write_cure(Page& page, const Cure& cure) {
  if (cure.command.empty()) return page.wrapped("      do     ", cure.why);
  page.line("      do     " + cure.command);
  if (!cure.why.empty()) page.wrapped("             # ", cure.why);
}

// What is wrong comes first; the title says what was wanted.
void write_finding(Page& page, const Finding& finding) {
  const Outcome& outcome = finding.outcome;
  page.line(fmt::format("  {} {} {}", page.painted(fmt::format("{:<8}", name_of(outcome.verdict)), outcome.verdict),
                        finding.check->id, page.painted(fmt::format("[row {}]", finding.check->row),
                            Verdict::kUnknown)));
  page.wrapped("      found  ", outcome.cause);
  page.wrapped("      wanted ", finding.check->title);
  for (const Evidence& read : outcome.evidence) page.wrapped("      read   ", read.where + ": " + read.what);
  for (const Cure& cure : outcome.cures) write_cure(page, cure);
}

void write_one_short(Page& page, const Finding& finding) {
  const Outcome& outcome = finding.outcome;
  std::string what = outcome.cause;
  for (const Evidence& read : outcome.evidence) what += (what.empty() ? "" : "; ") + read.where + ": " + read.what;
  const std::string verdict = page.painted(fmt::format("{:<8}", name_of(outcome.verdict)), outcome.verdict);
  const std::string row = page.painted(fmt::format("[{}]", finding.check->row), Verdict::kUnknown);
  page.line(fmt::format("  {} {}  {}", verdict, finding.check->title, row));
  page.wrapped("           ", what);
}

// Many checks often wait for one reading: it is named once, with their rows.
void write_unknown(Page& page, const std::vector<const Finding*>& findings) {
  std::vector<std::vector<const Finding*>> by_cause;
  for (const Finding* finding : findings) {
    const auto same = std::ranges::find(by_cause, finding->outcome.cause,
                                        [](const auto& some) { return some[0]->outcome.cause; });
    (same == by_cause.end() ? by_cause.emplace_back() : *same).push_back(finding);
  }
  for (const auto& some : by_cause) {
    if (some.size() == 1) {
      write_one_short(page, *some[0]);
      continue;
    }
    std::string rows;
    for (const Finding* finding : some) rows += fmt::format("{}{}", rows.empty() ? "" : ", ", finding->check->row);
    page.line(fmt::format("  {} {} checks", page.painted("unknown ", Verdict::kUnknown), some.size()));
    page.wrapped("           ", some[0]->outcome.cause);
    page.wrapped("           ", "rows " + rows);
  }
}

// What could not be read is short; what is fine is a number, unless all is asked for.
void write_short(Page& page, const std::vector<const Finding*>& findings, Verdict verdict, const TextStyle& style) {
  if (style.shows_all) {
    for (const Finding* finding : findings) write_one_short(page, *finding);
  } else if (verdict == Verdict::kUnknown) {
    write_unknown(page, findings);
  } else {
    const std::string what = fmt::format("  {} checks found nothing to complain about", findings.size());
    page.line(page.painted(what, Verdict::kOk));
  }
}

void write_findings(Page& page, std::span<const Finding> findings, const TextStyle& style) {
  for (Verdict verdict : kWorstFirst) {
    std::vector<const Finding*> some;
    for (const Finding& finding : findings) {
      if (finding.outcome.verdict == verdict) some.push_back(&finding);
    }
    if (some.empty()) continue;
    std::ranges::stable_sort(some, {}, [](const Finding* finding) { return finding->check->topic; });
    page.line();
    if (verdict == Verdict::kOk || verdict == Verdict::kUnknown) {
      write_short(page, some, verdict, style);
      continue;
    }
    for (const Finding* finding : some) write_finding(page, *finding);
  }
}

void write_programs(Page& page, const std::vector<Program>& programs) {
  if (programs.empty()) return;
  page.line();
  page.line("Other programs here, and whether they run on a GB10 (sm_121); --env names the variables each needs");
  for (const Program& program : programs) {
    const Verdict verdict = program.runs == Runs::kYes  ? Verdict::kOk
                            : program.runs == Runs::kNo ? Verdict::kWarning
                                                        : Verdict::kUnknown;
    const std::string version = program.version.empty() ? "(version unknown)" : program.version;
    page.line(fmt::format("  {} {} {}  {}", page.painted(fmt::format("{:<8}", name_of(program.runs)), verdict),
                          program.name, version, program.place));
    page.wrapped("           ", program.why);
  }
}

}  // namespace

std::string as_text(const Report& report, const TextStyle& style) {
  Page page(style.has_colour);
  page.line(headline(report.sheet));
  write_findings(page, report.findings, style);
  write_programs(page, report.programs);
  if (style.shows_tuning) {
    page.line();
    page.line("Host settings, with what speaks for and against each");
    for (const Setting& setting : report.settings) {
      page.line(fmt::format("  {}: {}", setting.name, setting.now));
      page.wrapped("      for      ", setting.in_favour);
      page.wrapped("      against  ", setting.against);
      page.wrapped("      advice   ", setting.advice);
    }
  }
  return page.take();
}

std::string matches_as_text(const std::vector<Match>& matches, const TextStyle& style) {
  Page page(style.has_colour);
  if (matches.empty()) {
    page.line("Nothing in the catalogue matches this text.");
    page.line("Try the line that holds the first error, without time stamps; `hearth doctor` looks at the machine "
              "itself.");
    return page.take();
  }
  for (const Match& match : matches) {
    const KnownError& error = *match.error;
    page.line(page.painted(error.title, Verdict::kWarning) + "  [" + error.id + "]");
    page.wrapped("  in      ", match.line);
    page.wrapped("  why     ", error.cause);
    if (!error.versions.empty()) page.wrapped("  holds   ", error.versions);
    for (const KnownCure& cure : error.cures) {
      const std::string when = cure.when.empty() ? "" : "(" + cure.when + ") ";
      if (cure.command.empty()) {
        page.wrapped("  do      ", when + cure.text);
        continue;
      }
      page.line("  do      " + cure.command);
      page.wrapped("          # ", when + cure.text);
    }
    page.wrapped("  source  ", error.evidence + ": " + error.source);
    page.line();
  }
  return page.take();
}

}  // namespace hearth::doctor
