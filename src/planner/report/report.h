// A plan in words and as a Value: what every model holds, whether all fit, what would, and the bounds of each phase.
// Bytes are given in GiB and GB, since sizes of files and of memory are told in either.
#pragma once
#include <string>
#include <vector>

#include "core/base/value.h"
#include "planner/cost/cost.h"
#include "planner/fit/fit.h"

namespace hearth::planner {

struct ReportOptions {
  double price_per_kwh = 0.30;
  std::string currency = "$";
};

/// Of models that lie in two pools: "pools", a report each, and whether both fit.
Value report(const std::vector<Want>& wants, const Machines& machines, const ReportOptions& options);
/// The same for people.
std::string report_text(const Value& report);

/// "4.58 GiB (4.92 GB)".
std::string both_units(int64_t bytes);

}  // namespace hearth::planner
