// When the watchdog ends a server: at once below the panic floor, after patience below the hard one, never when it
// recovers or when nothing can be read.
#include "governor/watchdog/watch.h"

#include <gtest/gtest.h>

#include <string_view>

namespace hearth::governor {
namespace {

constexpr WatchLimits kLimits{.hard_bytes = 1000, .panic_bytes = 500};

TEST(Watch, PanicEndsAtOnce) { EXPECT_EQ(Watch(kLimits).decide(0, 499), Verdict::kKill); }

TEST(Watch, AServerThatDoesNotReactIsAskedThenEnded) {
  Watch watch(kLimits);
  EXPECT_EQ(watch.decide(0.0, 900), Verdict::kLeave);
  EXPECT_EQ(watch.decide(1.4, 900), Verdict::kLeave);
  EXPECT_EQ(watch.decide(1.5, 900), Verdict::kTerminate);
  EXPECT_EQ(watch.decide(2.4, 900), Verdict::kLeave);
  EXPECT_EQ(watch.decide(2.5, 900), Verdict::kKill);
}

TEST(Watch, OneThatRecoversIsLeftAlone) {
  Watch watch(kLimits);
  for (double t = 0; t < 60; t += 1.0) {
    EXPECT_EQ(watch.decide(t, 900), Verdict::kLeave);
    EXPECT_EQ(watch.decide(t + 0.5, 1000), Verdict::kLeave);
  }
}

TEST(Watch, UnknownChangesNothing) {
  Watch watch(kLimits);
  EXPECT_EQ(watch.decide(0.0, 900), Verdict::kLeave);
  EXPECT_EQ(watch.decide(9.0, -1), Verdict::kLeave);
}

TEST(Watch, ReadsMeminfoWithoutHelp) {
  constexpr std::string_view kText = "MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:   1234 kB\nBuffers: 0 kB\n";
  EXPECT_EQ(available_of(kText.data(), static_cast<int64_t>(kText.size())), 1234 * 1024);
  EXPECT_EQ(available_of("MemTotal: 9 kB\n", 15), -1);
}

}  // namespace
}  // namespace hearth::governor
