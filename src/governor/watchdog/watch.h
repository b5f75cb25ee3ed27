// Watch: when the process beside the server must end it. The server reacts to falling memory itself (pressure/guard.h);
// this is for one that hangs or is too slow. Decides from readings alone and allocates nothing: the program that uses
// it must work when nothing can be allocated any more.
#pragma once
#include <cstdint>

namespace hearth::governor {

struct WatchLimits {
  int64_t hard_bytes = 0;   // below it for kPatienceS: the server does not react
  int64_t panic_bytes = 0;  // below it: at once
};

enum class Verdict : uint8_t { kLeave, kTerminate, kKill };

class Watch {
 public:
  static constexpr double kPatienceS = 1.5;  // the server had 15 readings to do something
  static constexpr double kGraceS = 1.0;     // from being asked to end to being ended

  explicit Watch(WatchLimits limits) : limits_(limits) {}

  /// One reading; `room_bytes` < 0: the kernel would not say, which changes nothing.
  Verdict decide(double time_s, int64_t room_bytes) {
    if (room_bytes < 0) return Verdict::kLeave;
    if (room_bytes < limits_.panic_bytes) return Verdict::kKill;
    if (room_bytes >= limits_.hard_bytes) {
      below_since_s_ = asked_at_s_ = -1;
      return Verdict::kLeave;
    }
    if (below_since_s_ < 0) below_since_s_ = time_s;
    if (asked_at_s_ >= 0) return time_s - asked_at_s_ >= kGraceS ? Verdict::kKill : Verdict::kLeave;
    if (time_s - below_since_s_ < kPatienceS) return Verdict::kLeave;
    asked_at_s_ = time_s;
    return Verdict::kTerminate;
  }

 private:
  WatchLimits limits_;
  double below_since_s_ = -1, asked_at_s_ = -1;  // < 0: not now
};

/// "MemAvailable:  123 kB" of a /proc/meminfo text, in bytes; -1 when it is not there. No allocation.
int64_t available_of(const char* text, int64_t size);

}  // namespace hearth::governor
