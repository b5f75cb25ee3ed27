// What several checks share: small readings of the context, and rows that show in a program's log.
#pragma once
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

std::string place_of(const Package& package);  // "torch 2.9.1+cu130 in /opt/venv/..."
std::string joined(const std::vector<std::string>& words, const char* separator = ", ");

}  // namespace hearth::doctor
