// The name a person probably meant: for "unknown key 'prot', did you mean 'port'?".
#pragma once
#include <span>
#include <string>
#include <string_view>

namespace hearth {

/// Least number of inserted, removed, replaced or swapped neighbouring characters; letter case is ignored.
int edit_distance(std::string_view a, std::string_view b);

/// The choice nearest to `name`, or "" when none is near (more than a third of its length, at least two, apart).
std::string nearest_name(std::string_view name, std::span<const std::string> choices);

}  // namespace hearth
