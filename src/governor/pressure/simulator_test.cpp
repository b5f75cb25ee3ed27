// Collapses of memory replayed against the real decisions: a host with a server on it, and something that eats. A
// sample every 100 ms; what the server frees comes back at the speed it does in life. The host must never come below
// the panic floor while the server could still give something, and the server must be gone before the host is empty.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <vector>

#include "governor/pressure/guard.h"

namespace hearth::governor {
namespace {

constexpr int64_t kGiB = int64_t{1} << 30;
constexpr double kSampleS = 0.1;

// A server: caches that shrink at once, requests that hold bytes, and a base that only its end frees. What is freed is
// back `kReleaseS` later.
struct SimulatedServer {
  int64_t cache_bytes = 0;
  std::vector<int64_t> requests;
  int64_t base_bytes = 0;
  bool is_running = true;

  int64_t held() const {
    int64_t sum = is_running ? cache_bytes + base_bytes : 0;
    for (int64_t bytes : requests) sum += is_running ? bytes : 0;
    return sum;
  }
  void carry_out(const Decision& decision) {
    if (decision.end_process) is_running = false;
    if (decision.shrink_caches) cache_bytes = 0;
    if (decision.abort_largest && !requests.empty()) {
      requests.erase(std::max_element(requests.begin(), requests.end()));
    }
  }
};

struct Outcome {
  int64_t least_room = INT64_MAX;
  int aborted = 0;
  bool was_ended = false;
  bool refused_admission = false;
};

// `eaten(t)`: bytes that everybody else holds at second t.
Outcome replay(int64_t total, SimulatedServer server, const std::function<int64_t(double)>& eaten, double seconds,
               double stall_percent = 0) {
  constexpr double kReleaseS = 0.1;
  Guard guard(floors_for(total));
  Outcome outcome;
  const size_t n_requests = server.requests.size();
  int64_t still_held = server.held();
  for (double t = 0; t < seconds; t += kSampleS) {
    const int64_t room = total - eaten(t) - still_held;
    if (!server.is_running) break;  // what others do to the host from here on is not the server's
    outcome.least_room = std::min(outcome.least_room, room);
    const Decision decision = guard.decide({.time_s = t, .room_bytes = room, .free_bytes = room,
                                            .large_block_bytes = -1, .stall_percent = stall_percent});
    if (!decision.may_admit) outcome.refused_admission = true;
    server.carry_out(decision);
    static_assert(kReleaseS <= kSampleS);
    still_held = server.held();
  }
  outcome.aborted = static_cast<int>(n_requests - server.requests.size());
  outcome.was_ended = !server.is_running;
  return outcome;
}

SimulatedServer busy_server() {
  return {.cache_bytes = 8 * kGiB, .requests = {12 * kGiB, 9 * kGiB, 6 * kGiB, 3 * kGiB}, .base_bytes = 40 * kGiB};
}

TEST(Collapse, AFallOf21GiBIn1500MillisecondsIsCaughtWhileItFalls) {
  const int64_t total = 122 * kGiB;
  const int64_t before = total - busy_server().held() - 34 * kGiB;
  auto eaten = [&](double t) { return before + static_cast<int64_t>(std::min(t, 1.5) / 1.5 * 21.3 * kGiB); };
  const Outcome outcome = replay(total, busy_server(), eaten, 10);
  EXPECT_TRUE(outcome.refused_admission);
  EXPECT_FALSE(outcome.was_ended);
  EXPECT_GT(outcome.least_room, floors_for(total).hard_bytes);
}

TEST(Collapse, AProcessThatNeverStopsGrowingFirstTakesRequestsThenTheServer) {
  const int64_t total = 122 * kGiB;
  const int64_t before = total - busy_server().held() - 30 * kGiB;
  auto eaten = [&](double t) { return before + static_cast<int64_t>(t * 3 * kGiB); };
  const Outcome outcome = replay(total, busy_server(), eaten, 40);
  EXPECT_EQ(outcome.aborted, 4) << "every request went before the process did";
  EXPECT_TRUE(outcome.was_ended);
  EXPECT_GT(outcome.least_room, floors_for(total).panic_bytes - kGiB) << "one sample's growth below the floor at most";
}

TEST(Collapse, ANeighbourThatGrowsSlowlyAndStopsCostsCachesOnly) {
  const int64_t total = 122 * kGiB;
  const int64_t before = total - busy_server().held() - 20 * kGiB;
  auto eaten = [&](double t) { return before + static_cast<int64_t>(std::min(t, 20.0) * 0.3 * kGiB); };
  const Outcome outcome = replay(total, busy_server(), eaten, 60);
  EXPECT_EQ(outcome.aborted, 0);
  EXPECT_FALSE(outcome.was_ended);
  EXPECT_TRUE(outcome.refused_admission);
}

TEST(Collapse, TasksThatStandStillCountAsHardWhateverIsAvailable) {
  const int64_t total = 122 * kGiB;
  const int64_t before = total - busy_server().held() - 20 * kGiB;
  const Outcome outcome = replay(total, busy_server(), [&](double) { return before; }, 1, 60);
  EXPECT_GT(outcome.aborted, 0);
}

TEST(Guard, SeesAStallLongBeforeTheMeanOfTenSeconds) {
  Guard guard(floors_for(128 * kGiB));
  // The kernel adds up every two seconds; its mean follows slowly.
  auto at = [&](double t, double stalled_s, double mean) {
    return guard.decide({.time_s = t, .room_bytes = 20 * kGiB, .free_bytes = kGiB, .large_block_bytes = -1,
                         .stall_percent = mean, .stalled_us = static_cast<int64_t>(stalled_s * 1e6)});
  };
  for (int i = 0; i < 40; ++i) EXPECT_EQ(at(i * 0.1, 5, 0).level, Level::kCalm);
  EXPECT_EQ(at(4.0, 5.7, 6).level, Level::kCalm) << "a third of two seconds";
  for (int i = 41; i < 60; ++i) EXPECT_EQ(at(i * 0.1, 5.7, 6).level, Level::kCalm);
  EXPECT_EQ(at(6.0, 7.2, 15).level, Level::kHard) << "three quarters";
  Guard unknown(floors_for(128 * kGiB));
  EXPECT_EQ(unknown.decide({.room_bytes = 20 * kGiB, .stall_percent = 41}).level, Level::kHard);
}

TEST(Collapse, NoneWhereNothingHappens) {
  const int64_t total = 24 * kGiB;
  const SimulatedServer small{.cache_bytes = kGiB, .requests = {kGiB}, .base_bytes = 2 * kGiB};
  const Outcome outcome = replay(total, small, [&](double) { return 6 * kGiB; }, 60);
  EXPECT_FALSE(outcome.refused_admission);
  EXPECT_EQ(outcome.aborted, 0);
}

TEST(Guard, ALevelIsLeftOnlyAfterASecondOfBetterReadings) {
  Guard guard(floors_for(128 * kGiB));
  auto at = [&](double t, int64_t room) {
    return guard.decide({.time_s = t, .room_bytes = room, .free_bytes = room, .large_block_bytes = -1,
                         .stall_percent = 0});
  };
  EXPECT_EQ(at(0.0, 15 * kGiB).level, Level::kSoft);
  EXPECT_EQ(at(0.1, 40 * kGiB).level, Level::kSoft);
  EXPECT_EQ(at(0.6, 15 * kGiB).level, Level::kHard) << "falling by 50 GiB/s";
  EXPECT_EQ(at(0.7, 40 * kGiB).level, Level::kHard);
  EXPECT_FALSE(at(1.6, 40 * kGiB).may_admit);
  EXPECT_TRUE(at(1.8, 40 * kGiB).may_admit);
}

TEST(Growth, IsRefusedBelowTheFloorAndInPieces) {
  const Floors floors = floors_for(128 * kGiB);
  Reading reading{.time_s = 0, .room_bytes = 20 * kGiB, .free_bytes = 18 * kGiB, .large_block_bytes = 17 * kGiB,
                  .stall_percent = 0};
  EXPECT_TRUE(may_grow(3 * kGiB, reading, floors, true));
  EXPECT_EQ(may_grow(5 * kGiB, reading, floors, true).error().code(), Code::kNoMemory);

  // 100 GiB "available" of which almost all is free, in pieces of a few pages.
  reading = {.time_s = 0, .room_bytes = 100 * kGiB, .free_bytes = 96 * kGiB, .large_block_bytes = kGiB / 2,
             .stall_percent = 0};
  const Result<void> refused = may_grow(kGiB, reading, floors, true);
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("small pieces"), std::string::npos);
  EXPECT_TRUE(may_grow(kGiB, reading, floors, false)) << "a discrete card's host memory needs no blocks";

  // The same with the page cache full: little is free, but what is reclaimed comes in blocks.
  reading = {.time_s = 0, .room_bytes = 100 * kGiB, .free_bytes = kGiB / 2, .large_block_bytes = kGiB / 8,
             .stall_percent = 0};
  EXPECT_TRUE(may_grow(kGiB, reading, floors, true));
}

TEST(Floors, AreThoseOfTheFieldAt128GiBAndScale) {
  EXPECT_EQ(floors_for(128 * kGiB).soft_bytes, 16 * kGiB);
  EXPECT_EQ(floors_for(128 * kGiB).hard_bytes, 8 * kGiB);
  EXPECT_EQ(floors_for(128 * kGiB).panic_bytes, 4 * kGiB);
  EXPECT_GE(reserve_for(128 * kGiB), 12 * kGiB);
}

}  // namespace
}  // namespace hearth::governor
