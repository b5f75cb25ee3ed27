#include <fmt/format.h>

#include "doctor/report/report.h"

namespace hearth::doctor {
namespace {

// A text as comment lines, whatever line breaks it holds: nothing of it may become a command.
std::string comment(std::string_view text) {
  std::string lines = "# ";
  for (char c : text) lines += c == '\n' ? std::string("\n# ") : std::string(1, c);
  return lines + "\n";
}

void add(std::string& script, const Finding& finding) {
  const Outcome& outcome = finding.outcome;
  script += "\n" + comment(fmt::format("{} (row {}, {}): {}", name_of(outcome.verdict), finding.check->row,
                                       finding.check->id, outcome.cause));
  script += comment(std::string("wanted: ") + finding.check->title);
  for (const Evidence& read : outcome.evidence) script += comment("read: " + read.where + ": " + read.what);
  for (const Cure& cure : outcome.cures) {
    if (!cure.why.empty()) script += comment(cure.why);
    if (cure.command.empty()) continue;
    script += cure.is_by_hand ? comment("by hand: " + cure.command) : cure.command + "\n";
  }
}

}  // namespace

std::string fix_script(std::span<const Finding> findings) {
  std::string script =
      "#!/bin/sh\n"
      "# Written by `hearth doctor --fix-script`. Nothing of it has been run. Read every line, take out what you do "
      "not\n"
      "# want, then run it with `sh`. Lines that begin with \"# by hand:\" end a program or need a decision of yours.\n"
      "set -e\n";
  size_t count = 0;
  for (Verdict verdict : {Verdict::kFailure, Verdict::kWarning}) {
    for (const Finding& finding : findings) {
      if (finding.outcome.verdict != verdict) continue;
      add(script, finding);
      ++count;
    }
  }
  if (count == 0) script += "\n# There are no warnings and no failures: nothing to do.\n";
  return script;
}

}  // namespace hearth::doctor
