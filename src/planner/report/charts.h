// What a plan looks like as charts: memory over context and sequences, or over pictures at once, against the budget.
#pragma once
#include <vector>

#include "planner/fit/fit.h"
#include "planner/svg/plot.h"

namespace hearth::planner {

std::vector<Chart> charts(const std::vector<Want>& wants, const Machines& machines);

}  // namespace hearth::planner
