#include "doctor/targets.h"

#include <algorithm>
#include <charconv>

#include "doctor/context.h"

namespace hearth::doctor {
namespace {

std::vector<std::string> entries_of(std::string_view list) {
  std::string text(list);
  std::ranges::replace_if(text, [](char c) { return c == ';' || c == ',' || c == ':'; }, ' ');
  return words_of(text);
}

struct Target {
  int number = 0;      // 121
  std::string letter;  // "", "a" or "f"
  bool has_cubin = true, has_ptx = true;
};

// "120f-real" -> 120, "f", a cubin alone; number 0 for other words.
Target target_of(std::string_view entry) {
  Target target{.has_cubin = !entry.ends_with("-virtual"), .has_ptx = !entry.ends_with("-real")};
  const std::string_view name = entry.substr(0, entry.find('-'));
  const auto [rest, failure] = std::from_chars(name.data(), name.data() + name.size(), target.number);
  if (failure != std::errc()) return {};
  target.letter.assign(rest, name.data() + name.size());
  return target;
}

Loads loads(const Target& target) {
  const bool is_12 = target.number == 120 || target.number == 121;
  // A cubin serves one major version; the letter a binds it to its very number, f to the family.
  const bool is_bound_to_120 = target.number == 120 && target.letter == "a";
  if (is_12 && !is_bound_to_120) return Loads::kCubin;
  const bool is_portable = target.letter.empty() && target.number < 121;
  return target.has_ptx && is_portable ? Loads::kPtx : Loads::kNothing;
}

}  // namespace

bool names_plain_target(std::string_view list) {
  return std::ranges::any_of(entries_of(list), [](const std::string& entry) {
    const std::string base = entry.substr(0, entry.find_first_of("+-("));
    return base == "12.1" || base == "121" || base == "12.0" || base == "120";
  });
}

Loads loads_on_121(std::string_view cmake_list) {
  Loads best = Loads::kUnknown;
  for (const std::string& entry : entries_of(cmake_list)) {
    // native: of the machine it was built on; all and all-major: with PTX of the newest, which the driver compiles.
    if (entry == "native") return Loads::kCubin;
    const Target target = target_of(entry);
    const Loads found = entry.starts_with("all") ? Loads::kPtx : target.number == 0 ? Loads::kUnknown : loads(target);
    if (found == Loads::kUnknown) continue;
    best = best == Loads::kUnknown ? found : std::max(best, found);
  }
  return best;
}

}  // namespace hearth::doctor
