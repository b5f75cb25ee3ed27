// Runs one tool of the machine (nvidia-smi, docker, ...) without a shell, with a time limit, and collects what it says.
#pragma once
#include <chrono>
#include <optional>

#include "machine/root.h"

namespace hearth::machine {

/// Nothing when the program cannot be started or did not end within `limit` (it is killed then). Output beyond 1 MiB is
/// dropped. Standard input is empty; the environment is this process's, with LC_ALL=C.
std::optional<ToolOutput> run_tool(const Command& command, std::chrono::milliseconds limit);

}  // namespace hearth::machine
