// hearth bench picture, one of bench's subcommands.
#pragma once
#include "commands.h"

namespace hearth::app {

Action add_bench_picture(CLI::App& app, Common& common);

}  // namespace hearth::app
