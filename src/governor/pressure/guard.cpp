#include "governor/pressure/guard.h"

#include <algorithm>

namespace hearth::governor {
namespace {

constexpr double kLookAheadS = 0.3;    // how far a fall is continued: three samples
constexpr double kRecoverS = 1.0;      // how long it must stay better before a level is left
constexpr double kAbortEveryS = 0.25;  // what a request held needs a moment to come back
constexpr double kWedgeStallPercent = 40;  // tasks stand still: the host is about to hang, whatever MemAvailable says

// Where the room will be soon if it goes on falling as it did since the last reading.
int64_t projected(const Reading& last, const Reading& now) {
  const double seconds = now.time_s - last.time_s;
  if (seconds <= 0 || now.room_bytes >= last.room_bytes) return now.room_bytes;
  const double bytes_per_s = static_cast<double>(now.room_bytes - last.room_bytes) / seconds;
  return now.room_bytes + static_cast<int64_t>(bytes_per_s * kLookAheadS);
}

}  // namespace

std::string_view name_of(Level level) {
  switch (level) {
    case Level::kCalm: return "calm";
    case Level::kSoft: return "soft";
    case Level::kHard: return "hard";
    case Level::kPanic: return "panic";
  }
  return "?";
}

Level Guard::level_of(int64_t room, double stall_percent) const {
  if (room < floors_.panic_bytes) return Level::kPanic;
  if (room < floors_.hard_bytes) return Level::kHard;
  const bool is_stalling = stall_percent >= kWedgeStallPercent && room < 2 * floors_.soft_bytes;
  if (is_stalling) return Level::kHard;
  return room < floors_.soft_bytes ? Level::kSoft : Level::kCalm;
}

// Of the last two seconds, which is how often the kernel adds up; its own shortest mean, of ten, takes five to say that
// half of the time is lost.
double Guard::lately_stalled_percent(const Reading& reading) {
  constexpr double kWindowS = 2;
  if (reading.stalled_us < 0) return reading.stall_percent;
  stalls_.push_back(reading);
  while (stalls_.size() > 2 && stalls_[1].time_s <= reading.time_s - kWindowS) stalls_.pop_front();
  const Reading& before = stalls_.front();
  const double seconds = reading.time_s - before.time_s;
  if (seconds < kWindowS) return reading.stall_percent;
  const double lately = static_cast<double>(reading.stalled_us - before.stalled_us) / (seconds * 1e4);
  return std::max(reading.stall_percent, std::min(lately, 100.0));
}

Decision Guard::decide(const Reading& reading) {
  // A fall is looked ahead of, but only what is really there ends the process.
  const int64_t ahead = has_last_ ? projected(last_, reading) : reading.room_bytes;
  Level wanted = level_of(ahead, lately_stalled_percent(reading));
  if (wanted == Level::kPanic && reading.room_bytes >= floors_.panic_bytes) wanted = Level::kHard;
  last_ = reading;
  has_last_ = true;

  if (wanted >= level_) {
    level_ = wanted;
    calm_since_s_ = -1;
  } else if (calm_since_s_ < 0) {
    calm_since_s_ = reading.time_s;
  } else if (reading.time_s - calm_since_s_ >= kRecoverS) {
    level_ = wanted;
    calm_since_s_ = -1;
  }

  Decision decision;
  decision.level = level_;
  decision.may_admit = level_ == Level::kCalm;
  decision.shrink_caches = wanted >= Level::kSoft;
  const bool may_abort = reading.time_s - last_abort_s_ >= kAbortEveryS;
  decision.abort_largest = wanted >= Level::kHard && may_abort;
  if (decision.abort_largest) last_abort_s_ = reading.time_s;
  decision.end_process = wanted == Level::kPanic;
  return decision;
}

}  // namespace hearth::governor
