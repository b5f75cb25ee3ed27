#include "governor/residency/policy.h"

#include <algorithm>

namespace hearth::governor {
namespace {

double idleness(const Resident& resident) { return resident.idle_s / std::max(resident.reload_s, 1.0); }

}  // namespace

std::vector<size_t> leaving_order(std::span<const Resident> residents) {
  std::vector<size_t> order;
  for (size_t i = 0; i < residents.size(); ++i) {
    if (residents[i].may_leave()) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    const double first = idleness(residents[a]), second = idleness(residents[b]);
    return first != second ? first > second : residents[a].bytes > residents[b].bytes;
  });
  return order;
}

int64_t spare_of_staying(std::span<const Resident> residents) {
  int64_t bytes = 0;
  for (const Resident& resident : residents) bytes += resident.may_leave() ? 0 : resident.spare_bytes();
  return bytes;
}

std::vector<size_t> choose_leaving(std::span<const Resident> residents, int64_t bytes) {
  std::vector<size_t> chosen;
  int64_t freed = 0;
  for (size_t i : leaving_order(residents)) {
    if (freed >= bytes) break;
    chosen.push_back(i);
    freed += residents[i].bytes;
  }
  if (freed < bytes) return {};
  // A later, larger one may have made an earlier one needless.
  for (auto at = chosen.begin(); at != chosen.end();) {
    const int64_t own = residents[*at].bytes;
    const bool is_needless = freed - own >= bytes;
    if (is_needless) freed -= own;
    at = is_needless ? chosen.erase(at) : at + 1;
  }
  return chosen;
}

}  // namespace hearth::governor
