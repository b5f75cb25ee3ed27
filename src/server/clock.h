// Wall-clock time as clients are told it.
#pragma once
#include <chrono>
#include <cstdint>

namespace hearth::server {

inline int64_t unix_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(system_clock::now().time_since_epoch()).count();
}

}  // namespace hearth::server
