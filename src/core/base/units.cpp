#include "core/base/units.h"

#include <cmath>
#include <cstdlib>

#include <fmt/format.h>

namespace hearth {

std::string format_bytes(int64_t bytes) {
  double magnitude = std::abs(static_cast<double>(bytes));
  if (magnitude >= static_cast<double>(GiB)) return fmt::format("{:.2f} GiB", static_cast<double>(bytes) / GiB);
  if (magnitude >= static_cast<double>(MiB)) return fmt::format("{:.1f} MiB", static_cast<double>(bytes) / MiB);
  if (magnitude >= static_cast<double>(KiB)) return fmt::format("{:.1f} KiB", static_cast<double>(bytes) / KiB);
  return fmt::format("{} B", bytes);
}

std::string format_duration(double seconds) {
  auto whole = static_cast<int64_t>(std::llround(seconds));
  if (seconds < 1) return fmt::format("{:.0f} ms", seconds * 1000);
  if (whole < 60) return fmt::format("{} s", whole);
  if (whole < 3600) return fmt::format("{} min {:02} s", whole / 60, whole % 60);
  return fmt::format("{} h {:02} min", whole / 3600, whole % 3600 / 60);
}

Result<int64_t> parse_bytes(std::string_view text) {
  std::string copy(text);
  char* end = nullptr;
  double number = std::strtod(copy.c_str(), &end);
  std::string_view unit = end;
  while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
  if (end == copy.c_str() || !(number >= 0)) {
    return unexpected(Code::kInvalidArgument, fmt::format("'{}' is not a size; write 512, 64K, 512M or 1.5G", text));
  }
  double scale = 0;
  if (unit.empty() || unit == "B") scale = 1;
  if (unit == "K" || unit == "KB" || unit == "KiB") scale = static_cast<double>(KiB);
  if (unit == "M" || unit == "MB" || unit == "MiB") scale = static_cast<double>(MiB);
  if (unit == "G" || unit == "GB" || unit == "GiB") scale = static_cast<double>(GiB);
  if (scale == 0 || number * scale > 9e18) {
    return unexpected(Code::kInvalidArgument, fmt::format("'{}' is not a size; write 512, 64K, 512M or 1.5G", text));
  }
  return static_cast<int64_t>(number * scale);
}

}  // namespace hearth
