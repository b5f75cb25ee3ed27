// Guard: what to do about falling memory, decided from readings alone. It knows no clock, thread or request: feed it a
// reading every 100 ms and carry out what it says. Used by one thread.
#pragma once
#include <deque>
#include <string_view>

#include "governor/pressure/floors.h"

namespace hearth::governor {

enum class Level : uint8_t { kCalm, kSoft, kHard, kPanic };
std::string_view name_of(Level level);

/// What a reading asks for. The levels include what milder ones ask for.
struct Decision {
  Level level = Level::kCalm;
  bool may_admit = true;       // new requests and loads
  bool shrink_caches = false;  // prefix cache, cached node outputs, idle models; heap given back
  bool abort_largest = false;  // one running request ends with an honest error and frees what it holds
  bool end_process = false;
};

class Guard {
 public:
  explicit Guard(Floors floors) : floors_(floors) {}

  /// `reading.time_s` never goes backwards.
  Decision decide(const Reading& reading);
  const Floors& floors() const { return floors_; }

 private:
  Level level_of(int64_t room, double stall_percent) const;
  double lately_stalled_percent(const Reading& reading);

  Floors floors_;
  Reading last_{};
  std::deque<Reading> stalls_;  // readings of the last two seconds, where the kernel counts stalls
  bool has_last_ = false;
  Level level_ = Level::kCalm;
  double calm_since_s_ = -1;   // room above the level's floor again since then; < 0: not now
  double last_abort_s_ = -1e9;
};

}  // namespace hearth::governor
