// What a run of the doctor found, as text for people, JSON for programs, a page, and a script of cures to review.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/base/value.h"
#include "doctor/check.h"
#include "doctor/explain/catalogue.h"
#include "doctor/programs.h"
#include "doctor/sheet.h"
#include "doctor/tuning.h"

namespace hearth::doctor {

struct Report {
  Sheet sheet;
  std::vector<Finding> findings;
  std::vector<Program> programs;
  std::vector<Setting> settings;
};

/// Reads everything once.
Report examine(const Context& context, std::span<const std::string> only = {}, Sheet sheet = {});

struct TextStyle {
  bool has_colour = false;
  bool shows_all = false;     // also what is fine
  bool shows_tuning = false;
};
std::string as_text(const Report& report, const TextStyle& style = {});
Value as_value(const Report& report);
/// One page: the machine, findings, other programs, host settings.
std::string as_markdown(const Report& report);

/// Cures of warnings and failures as a shell script. Nothing is run here; what ends a program or needs a decision is
/// written as a comment.
std::string fix_script(std::span<const Finding> findings);

std::string matches_as_text(const std::vector<Match>& matches, const TextStyle& style = {});
Value matches_as_value(const std::vector<Match>& matches);

/// The table of all rows, as docs/doctor.md has it.
std::string table_of_checks();

}  // namespace hearth::doctor
