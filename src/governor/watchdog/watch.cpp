#include "governor/watchdog/watch.h"

#include <string_view>

namespace hearth::governor {

int64_t available_of(const char* text, int64_t size) {
  const std::string_view all(text, static_cast<size_t>(size));
  constexpr std::string_view kKey = "MemAvailable:";
  size_t at = all.find(kKey);
  if (at == all.npos) return -1;
  at = all.find_first_of("0123456789", at + kKey.size());
  int64_t kib = 0;
  if (at == all.npos) return -1;
  for (; at < all.size() && all[at] >= '0' && all[at] <= '9'; ++at) kib = kib * 10 + (all[at] - '0');
  return kib * 1024;
}

}  // namespace hearth::governor
