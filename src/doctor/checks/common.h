// What several checks share: small readings of the context, and rows that show in a program's log.
#pragma once
#include <functional>
#include <optional>
#include <string>

#include "doctor/check.h"
#include "doctor/context.h"

namespace hearth::doctor {

/// "no NVIDIA GPU here", for rows that ask for one; nothing when there is one or nobody knows.
std::optional<Outcome> without_nvidia(const Context& context);
/// "no GB10 here": another GPU, or none.
std::optional<Outcome> unless_gb10(const Context& context);
/// "CPU and GPU have memory of their own", or no GPU at all.
std::optional<Outcome> unless_unified(const Context& context);

/// A row that shows in logs: `found` with cause and cures of the catalogue's entry when a line shows it, ok when logs
/// were read and none does, unknown when there is no log.
Outcome in_log(const Context& context, int row, Verdict found);
/// The same as an addition: nothing when no line shows the row.
std::optional<Outcome> seen_in_log(const Context& context, int row, Verdict found);
/// What in_log says without a log.
Outcome without_log();

/// The first variable of that name, of this process or of a unit.
std::optional<Variable> variable_named(const Context& context, std::string_view name);

/// Evidence for every package that `is_wanted`; whether there was one.
bool saw_packages(const Context& context, Outcome& outcome, const std::function<bool(const Package&)>& is_wanted);

/// Adds "; another cause" to a cause, or begins it.
void add_cause(Outcome& outcome, const std::string& cause);

std::string joined(const std::vector<std::string>& words, const char* separator = ", ");

}  // namespace hearth::doctor
