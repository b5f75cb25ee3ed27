// What plans of this small program are made from: the files it is given, the catalogue, and the machine as the driver
// and the kernel state it.
#pragma once
#include "planner/report/answer.h"

namespace hearth::app {

const planner::Desk& desk_alone();

}  // namespace hearth::app
