// Durations as people write them in a configuration: "30s", "5m", "2h", "250ms".
#pragma once
#include <chrono>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace hearth::config {

/// A number and one of ms, s, m, h, d; "0" needs no unit. kInvalidArgument otherwise, and above ten years.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// The shortest text that parse_duration reads back: "90s", "5m", "250ms".
std::string write_duration(std::chrono::milliseconds duration);

}  // namespace hearth::config
