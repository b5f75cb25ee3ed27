// The flags of `hearth plan`, shared with the small program hearth-doctor, which knows neither the configuration nor
// the model store.
#pragma once
#include <functional>

#include <CLI/CLI.hpp>

#include "planner/report/answer.h"

namespace hearth::app {

/// `desk` is asked for when the command runs, so that a broken configuration does not keep --help from working; it
/// lives until the command has ended.
std::function<int()> add_plan_flags(CLI::App& app, std::function<const planner::Desk&()> desk);

}  // namespace hearth::app
