// Bytes and durations as people read them.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/result.h"

namespace hearth {

inline constexpr int64_t KiB = int64_t{1} << 10;
inline constexpr int64_t MiB = int64_t{1} << 20;
inline constexpr int64_t GiB = int64_t{1} << 30;

inline constexpr int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }
inline constexpr int64_t round_up(int64_t a, int64_t b) { return ceil_div(a, b) * b; }

/// "1.50 GiB", "93.8 MiB", "512 B".
std::string format_bytes(int64_t bytes);

/// "12 s", "3 min 05 s", "2 h 10 min".
std::string format_duration(double seconds);

/// Accepts 512, 512B, 64K, 64KiB, 1.5G, 1.5GiB (binary units); kInvalidArgument otherwise.
Result<int64_t> parse_bytes(std::string_view text);

}  // namespace hearth
