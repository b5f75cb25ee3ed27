#include "core/base/nearest.h"

#include <algorithm>
#include <cctype>
#include <vector>

namespace hearth {
namespace {

bool same_letter(char a, char b) {
  return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
}

}  // namespace

int edit_distance(std::string_view a, std::string_view b) {
  std::vector<int> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) above[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      int replaced = above[j - 1] + (same_letter(a[i - 1], b[j - 1]) ? 0 : 1);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, replaced});
      bool swapped = i > 1 && j > 1 && same_letter(a[i - 1], b[j - 2]) && same_letter(a[i - 2], b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

std::string nearest_name(std::string_view name, std::span<const std::string> choices) {
  constexpr size_t kLongestCompared = 256;  // the table is quadratic in the name's length
  if (name.size() > kLongestCompared) return "";
  int best_distance = std::max<int>(2, static_cast<int>(name.size()) / 3) + 1;
  std::string best;
  for (const std::string& choice : choices) {
    if (choice.size() > kLongestCompared) continue;
    int distance = edit_distance(name, choice);
    if (distance < best_distance && distance < static_cast<int>(choice.size())) {
      best_distance = distance;
      best = choice;
    }
  }
  return best;
}

}  // namespace hearth
