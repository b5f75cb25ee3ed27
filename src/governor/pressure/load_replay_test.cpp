// Collapses of memory while a model loads, replayed through the kernel's own files: each tick a recorded machine says
// what it has, the governor is asked before each step of at most 1 GiB, and the guard looks as it does in life. The
// load's own growth must never take the machine below its soft floor, whatever others do meanwhile.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>

#include <fmt/format.h>

#include "core/base/log.h"
#include "core/base/units.h"
#include "governor/budget/budget.h"
#include "governor/governor.h"
#include "machine/testing/recording.h"

namespace hearth::governor {
namespace {

constexpr double kTickS = 0.1;

// A GB10 of 122 GiB at one moment.
struct Moment {
  int64_t others = 10 * GiB;       // what other programs hold
  int64_t page_cache = 0;          // files that were read: room, but not free
  bool is_in_pieces = false;       // free memory lies in single pages
};

struct Replay {
  static constexpr int64_t kTotal = 122 * GiB;
  std::function<Moment(double seconds)> history;
  int64_t model_bytes = 0;
  bool is_integrated = true;

  // Outcome.
  int64_t taken = 0;                 // by the load in the end; what it took before it was refused is back
  int64_t least_room = kTotal;       // while it grew
  int64_t least_room_after = kTotal; // once it was refused and had given everything back
  bool was_refused = false, was_short = false;
  std::string reason;

  void run(double seconds) {
    log::set_level(log::Level::kOff);
    machine::testing::Recording machine;
    put(machine, history(0));
    Governor governor({.root = machine.root(), .has_integrated_gpu = is_integrated, .needs_blocks = is_integrated,
                       .interval = std::chrono::hours(1), .end_process = [] {}});
    Budget budget("unified", [&] { return governor.limit_bytes(); });
    const LeasedAllocator::Look look = [&](int64_t bytes) { return governor.may_take(bytes); };
    Guard guard(governor.floors());
    std::optional<Lease> lease;
    for (double t = 0; t < seconds; t += kTickS) {
      put(machine, history(t));
      const Reading now = take_reading(machine.root(), is_integrated, t);
      (was_refused ? least_room_after : least_room) =
          std::min(was_refused ? least_room_after : least_room, now.room_bytes);
      was_short |= !guard.decide(now).may_admit;
      if (!was_refused && taken < model_bytes) grow(budget, look, lease);
    }
    log::set_level(log::Level::kInfo);
  }

 private:
  // The lease of the whole and a look at it first, then step by step; a refusal gives everything back.
  void grow(Budget& budget, const LeasedAllocator::Look& look, std::optional<Lease>& lease) {
    Result<void> may;
    if (!lease) {
      Result<Lease> whole = budget.take(model_bytes, "model");
      may = whole ? look(model_bytes) : Result<void>(Unexpected(whole.error()));
      if (may) lease = std::move(*whole);
    }
    const int64_t step = std::min(model_bytes - taken, LeasedAllocator::kStepBytes);
    if (may && taken > 0) may = look(step);
    if (may) {
      taken += step;
      return;
    }
    was_refused = true;
    reason = may.error().message();
    lease.reset();
    taken = 0;
  }

  void put(machine::testing::Recording& machine, const Moment& now) const {
    const int64_t room = std::max<int64_t>(kTotal - now.others - taken, 0);
    const int64_t free = std::max<int64_t>(room - now.page_cache, 0);
    machine.put("/proc/meminfo", fmt::format("MemTotal: {} kB\nMemFree: {} kB\nMemAvailable: {} kB\nCached: {} kB\n",
                                             kTotal / KiB, free / KiB, room / KiB, now.page_cache / KiB));
    const int64_t pages = now.is_in_pieces ? free / (4 * KiB) : 0, blocks = now.is_in_pieces ? 0 : free / (4 * MiB);
    machine.put("/proc/buddyinfo", fmt::format("Node 0, zone   Normal {} 0 0 0 0 0 0 0 0 0 {}\n", pages, blocks));
  }
};

TEST(LoadReplay, APageCacheThatIsFullIsRoom) {
  Replay replay{.history = [](double) { return Moment{.page_cache = 108 * GiB}; }, .model_bytes = 60 * GiB};
  replay.run(10);
  EXPECT_EQ(replay.taken, 60 * GiB) << replay.reason;
  EXPECT_GE(replay.least_room, floors_for(Replay::kTotal).soft_bytes);
  EXPECT_FALSE(replay.was_short);
}

TEST(LoadReplay, NoStepBeginsWhenFreeMemoryLiesInPiecesWithAHundredGiBAvailable) {
  auto in_pieces = [](double) { return Moment{.others = 20 * GiB, .is_in_pieces = true}; };
  Replay replay{.history = in_pieces, .model_bytes = 30 * GiB};
  replay.run(5);
  EXPECT_TRUE(replay.was_refused);
  EXPECT_NE(replay.reason.find("small pieces"), std::string::npos) << replay.reason;
  EXPECT_EQ(replay.least_room, 102 * GiB) << "nothing was taken";

  Replay discrete{.history = in_pieces, .model_bytes = 30 * GiB, .is_integrated = false};
  discrete.run(5);
  EXPECT_EQ(discrete.taken, 30 * GiB) << "the host's own pages need no blocks: " << discrete.reason;
}

TEST(LoadReplay, PiecesThatComeWhileItGrowsEndIt) {
  Replay replay{.history = [](double t) { return Moment{.is_in_pieces = t >= 1.05}; }, .model_bytes = 60 * GiB};
  replay.run(5);
  EXPECT_TRUE(replay.was_refused);
  EXPECT_EQ(replay.taken, 0);
  EXPECT_EQ(replay.least_room_after, 112 * GiB) << "what it had taken is back";
}

// 21.3 GiB go to somebody else in 1.5 s while a model that had just fitted is half loaded.
TEST(LoadReplay, AFallOf21GiBEndsTheLoadBeforeTheFloor) {
  auto fall = [](double t) {
    return Moment{.others = 10 * GiB + static_cast<int64_t>(std::clamp((t - 1) / 1.5, 0.0, 1.0) * 21.3 * GiB)};
  };
  Replay replay{.history = fall, .model_bytes = 90 * GiB};
  replay.run(12);
  EXPECT_TRUE(replay.was_refused);
  EXPECT_GE(replay.least_room, floors_for(Replay::kTotal).soft_bytes);
  EXPECT_GE(replay.least_room_after, 90 * GiB) << "what it had taken is back";
}

// The neighbour goes on growing: the load steps back in time, however fast that is.
TEST(LoadReplay, AProcessThatGrowsBesideTheLoadNeverMeetsItAtTheFloor) {
  for (double gib_per_s : {0.5, 2.0, 6.0, 14.2}) {
    auto growing = [&](double t) {
      return Moment{.others = 35 * GiB + static_cast<int64_t>(std::min(gib_per_s * t, 60.0) * GiB)};
    };
    Replay replay{.history = growing, .model_bytes = 70 * GiB};
    replay.run(15);
    EXPECT_TRUE(replay.was_refused) << gib_per_s << " GiB/s";
    // What others take in one tick is the most that can go below it before the next look.
    EXPECT_GE(replay.least_room, floors_for(Replay::kTotal).soft_bytes - static_cast<int64_t>(gib_per_s * kTickS * GiB))
        << gib_per_s << " GiB/s";
    EXPECT_GT(replay.least_room_after, floors_for(Replay::kTotal).hard_bytes);
  }
}

TEST(LoadReplay, WhatNeverFitsIsRefusedBeforeTheFirstStep) {
  Replay replay{.history = [](double) { return Moment{}; }, .model_bytes = 105 * GiB};
  replay.run(2);
  EXPECT_TRUE(replay.was_refused);
  EXPECT_EQ(replay.least_room, 112 * GiB);
}

}  // namespace
}  // namespace hearth::governor
