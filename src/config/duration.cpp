#include "config/duration.h"

#include <array>
#include <charconv>

#include <fmt/format.h>

namespace hearth::config {
namespace {

struct Unit {
  std::string_view name;
  int64_t ms;
};
constexpr std::array<Unit, 5> kUnits = {{{"d", 86'400'000}, {"h", 3'600'000}, {"m", 60'000}, {"s", 1000}, {"ms", 1}}};
constexpr double kLongestMs = 10.0 * 366 * 86'400'000;

}  // namespace

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  double number = 0;
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  bool is_number = problem == std::errc{} && number >= 0;
  if (is_number && number == 0 && unit.empty()) return std::chrono::milliseconds(0);
  for (const Unit& known : kUnits) {
    if (!is_number || unit != known.name || number * static_cast<double>(known.ms) > kLongestMs) continue;
    return std::chrono::milliseconds(static_cast<int64_t>(number * static_cast<double>(known.ms)));
  }
  return unexpected(Code::kInvalidArgument, fmt::format("'{}' is not a duration; write 30s, 5m, 2h or 250ms", text));
}

std::string write_duration(std::chrono::milliseconds duration) {
  if (duration.count() == 0) return "0s";
  for (const Unit& unit : kUnits) {
    if (duration.count() % unit.ms == 0) return fmt::format("{}{}", duration.count() / unit.ms, unit.name);
  }
  return fmt::format("{}ms", duration.count());
}

}  // namespace hearth::config
