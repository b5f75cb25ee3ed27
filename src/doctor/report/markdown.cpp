#include <array>

#include <fmt/format.h>

#include "doctor/report/report.h"

namespace hearth::doctor {
namespace {

// A cell of a table: no line breaks, no bars.
std::string cell(std::string_view text) {
  std::string safe;
  for (char c : text) {
    if (c == '|') safe += '\\';
    safe += c == '\n' ? ' ' : c;
  }
  return safe;
}

void add_finding(std::string& page, const Finding& finding) {
  const Outcome& outcome = finding.outcome;
  page += fmt::format("### {}: {}\n\nRow {}, `{}`. Wanted: {}.\n\n", name_of(outcome.verdict), outcome.cause,
                      finding.check->row, finding.check->id, finding.check->title);
  for (const Evidence& read : outcome.evidence) page += fmt::format("- read: `{}`: {}\n", read.where, read.what);
  if (!outcome.cures.empty()) page += "\n";
  for (const Cure& cure : outcome.cures) {
    page += cure.command.empty() ? fmt::format("- do: {}\n", cure.why)
                                 : fmt::format("- do: `{}` ({})\n", cure.command, cure.why);
  }
  page += "\n";
}

void add_findings(std::string& page, const Report& report) {
  page += "## Findings\n\n";
  size_t bad = 0;
  for (Verdict verdict : {Verdict::kFailure, Verdict::kWarning, Verdict::kNote}) {
    for (const Finding& finding : report.findings) {
      if (finding.outcome.verdict != verdict) continue;
      add_finding(page, finding);
      ++bad;
    }
  }
  if (bad == 0) page += "Nothing to complain about.\n\n";
  page += "| row | check | verdict | what was read |\n|---|---|---|---|\n";
  for (const Finding& finding : report.findings) {
    if (finding.outcome.verdict != Verdict::kOk && finding.outcome.verdict != Verdict::kUnknown) continue;
    std::string read = finding.outcome.cause;
    for (const Evidence& evidence : finding.outcome.evidence) {
      read += (read.empty() ? "" : "; ") + evidence.where + ": " + evidence.what;
    }
    page += fmt::format("| {} | {} | {} | {} |\n", finding.check->row, finding.check->title,
                        name_of(finding.outcome.verdict), cell(read));
  }
}

}  // namespace

std::string as_markdown(const Report& report) {
  std::string page = "# This machine\n\n" + sheet_as_markdown(report.sheet) + "\n";
  add_findings(page, report);
  if (!report.programs.empty()) {
    page += "\n## Other programs\n\n| program | version | runs on sm_121 | why | where |\n|---|---|---|---|---|\n";
    for (const Program& program : report.programs) {
      page += fmt::format("| {} | {} | {} | {} | `{}` |\n", program.name, program.version, name_of(program.runs),
                          cell(program.why), program.place);
    }
  }
  page += "\n## Host settings\n\n| setting | now | for | against | advice |\n|---|---|---|---|---|\n";
  for (const Setting& setting : report.settings) {
    page += fmt::format("| {} | {} | {} | {} | {} |\n", setting.name, cell(setting.now), cell(setting.in_favour),
                        cell(setting.against), cell(setting.advice));
  }
  return page;
}

std::string table_of_checks() {
  std::string table = "| row | id | checks that | seen as | topic |\n|---|---|---|---|---|\n";
  for (const Check& check : checks()) {
    table += fmt::format("| {} | `{}` | {} | {} | {} |\n", check.row, check.id, check.title, cell(check.symptom),
                         name_of(check.topic));
  }
  return table;
}

}  // namespace hearth::doctor
