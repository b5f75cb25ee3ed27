// The gauge over a recorded machine whose memory falls: the listener hears of it, and it ends at once when it is gone.
#include "governor/pressure/gauge.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include "machine/testing/recording.h"

namespace hearth::governor {
namespace {

TEST(Gauge, TellsOfWhatTheKernelStates) {
  machine::testing::Recording recording;
  recording.put("/proc/meminfo", "MemTotal: 9000 kB\nMemFree: 100 kB\nMemAvailable: 600 kB\n");
  recording.put("/proc/pressure/memory", "some avg10=3.00 avg60=0 avg300=0 total=1\nfull avg10=2.50 avg60=0 total=7\n");
  std::promise<Reading> heard;
  std::atomic<bool> is_first{true};
  Gauge gauge(recording.root(), false,
              [&](const Reading& reading) {
                if (is_first.exchange(false)) heard.set_value(reading);
              },
              std::chrono::milliseconds(1));
  const Reading reading = heard.get_future().get();
  EXPECT_EQ(reading.room_bytes, 600 * 1024);
  EXPECT_EQ(reading.free_bytes, 100 * 1024);
  EXPECT_DOUBLE_EQ(reading.stall_percent, 2.5);
  EXPECT_EQ(reading.stalled_us, 7);
  EXPECT_EQ(reading.large_block_bytes, -1);
  EXPECT_EQ(gauge.latest().room_bytes, 600 * 1024);
}

TEST(Gauge, EndsWithoutWaitingForItsNextLook) {
  const auto begun = std::chrono::steady_clock::now();
  { Gauge gauge(machine::Root(), false, [](const Reading&) {}, std::chrono::hours(1)); }
  EXPECT_LT(std::chrono::steady_clock::now() - begun, std::chrono::minutes(1));
}

}  // namespace
}  // namespace hearth::governor
