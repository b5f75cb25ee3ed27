// hearth bench disk, one of bench's subcommands.
#pragma once
#include "commands.h"

namespace hearth::app {

Action add_bench_disk(CLI::App& app);

}  // namespace hearth::app
