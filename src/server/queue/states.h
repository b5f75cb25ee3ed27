// The column "state" of the table of jobs.
#pragma once
#include <cstdint>

namespace hearth::server {

inline constexpr int64_t kWaits = 0, kRuns = 1, kEnded = 2;

}  // namespace hearth::server
