// The governor over a recorded machine whose memory a test takes away: who is asked to give back, whose request ends,
// when nothing more may begin, and when the process goes.
#include "governor/governor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>

#include <fmt/format.h>

#include "core/base/log.h"
#include "core/base/units.h"
#include "machine/testing/recording.h"

namespace hearth::governor {
namespace {

// Of 128 GiB: floors at 16, 8 and 4.
std::string meminfo(int64_t available_gib) {
  return fmt::format("MemTotal: {} kB\nMemFree: {} kB\nMemAvailable: {} kB\n", 128 * MiB, available_gib * MiB,
                     available_gib * MiB);
}

class CountingRelief : public Relief {
 public:
  void shrink() override { note(shrinks_); }
  bool abort_largest(const Error& why) override {
    {
      std::lock_guard lock(mutex_);
      why_ = why.message();
    }
    note(aborts_);
    return true;
  }
  void wait_for_shrink() { wait(shrinks_); }
  std::string wait_for_abort() {
    wait(aborts_);
    return why_;
  }
  int shrinks() { return std::lock_guard(mutex_), shrinks_; }
  int aborts() { return std::lock_guard(mutex_), aborts_; }

 private:
  void note(int& count) {
    std::lock_guard lock(mutex_);
    ++count;
    changed_.notify_all();
  }
  void wait(int& count) {
    std::unique_lock lock(mutex_);
    const int before = count;
    changed_.wait(lock, [&] { return count > before; });
  }
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string why_;
  int shrinks_ = 0, aborts_ = 0;
};

class GovernorTest : public ::testing::Test {
 protected:
  GovernorTest() {
    log::set_level(log::Level::kOff);
    set_available(60);
  }
  ~GovernorTest() override { log::set_level(log::Level::kInfo); }
  void set_available(int64_t gib) { machine_.put("/proc/meminfo", meminfo(gib)); }
  GovernorOptions options() {
    return {.root = machine_.root(), .interval = std::chrono::milliseconds(1),
            .end_process = [this] { ended_ = true; }};
  }
  // Levels are left a second after memory came back.
  static void wait_until(const std::function<bool()>& is_so) {
    while (!is_so()) std::this_thread::yield();
  }

  machine::testing::Recording machine_;
  std::atomic<bool> ended_{false};
};

TEST_F(GovernorTest, LimitsComeFromTheMachineAsItIsNow) {
  Governor governor(options());
  EXPECT_EQ(governor.pool_bytes(), 128 * GiB);
  EXPECT_EQ(governor.floors().soft_bytes, 16 * GiB);
  EXPECT_EQ(governor.limit_bytes(), 128 * GiB - governor.reserve_bytes());
  machine_.put("/sys/fs/cgroup/memory.max", std::to_string(32 * GiB));
  EXPECT_LT(governor.limit_bytes(), 32 * GiB);
}

TEST_F(GovernorTest, BelowTheSoftFloorNothingBeginsAndCachesShrinkUntilItIsCalm) {
  // From the beginning: a fall would be continued, down to the hard floor.
  set_available(12);
  CountingRelief relief;
  Governor governor(options());
  governor.set_relief(&relief);
  relief.wait_for_shrink();
  const Result<void> refused = governor.admit();
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kNoMemory);
  EXPECT_EQ(refused.error().details()->at("floor_bytes").as_int(), 16 * GiB);
  EXPECT_NE(refused.error().message().find("12.00 GiB available"), std::string::npos) << refused.error().message();
  EXPECT_FALSE(governor.wait_for_calm([] { return true; }, std::chrono::hours(1))) << "whoever gives up is let go";
  EXPECT_EQ(relief.aborts(), 0);
  set_available(60);
  EXPECT_TRUE(governor.wait_for_calm([] { return false; }, std::chrono::hours(1)));
  governor.set_relief(nullptr);
  EXPECT_EQ(governor.journal().entries().front().who, "soft");
  EXPECT_FALSE(ended_);
}

TEST_F(GovernorTest, BelowTheHardFloorTheLargestRequestEndsWithTheNumbers) {
  CountingRelief relief;
  Governor governor(options());
  governor.set_relief(&relief);
  set_available(6);
  const std::string why = relief.wait_for_abort();
  EXPECT_NE(why.find("hard floor is 8.00 GiB"), std::string::npos) << why;
  EXPECT_FALSE(ended_);
  governor.set_relief(nullptr);
}

TEST_F(GovernorTest, BelowThePanicFloorTheProcessEndsThoughTheReliefHangs) {
  struct Stuck : Relief {
    void shrink() override {
      if (!is_first.exchange(false)) return;
      begun.set_value();
      released.get_future().wait();
    }
    bool abort_largest(const Error&) override { return false; }
    std::atomic<bool> is_first{true};
    std::promise<void> begun, released;
  } stuck;
  Governor governor(options());
  governor.set_relief(&stuck);
  set_available(12);
  stuck.begun.get_future().wait();
  set_available(3);
  wait_until([&] { return ended_.load(); });
  stuck.released.set_value();
  governor.set_relief(nullptr);
}

TEST_F(GovernorTest, WhatTheKernelDoesNotSayEndsNobody) {
  CountingRelief relief;
  Governor governor(options());
  governor.set_relief(&relief);
  machine_.remove("/proc/meminfo");
  wait_until([&] { return !governor.reading().is_known; });
  const double since = governor.reading().time_s;
  wait_until([&] { return governor.reading().time_s > since; });
  EXPECT_FALSE(governor.may_take(1)) << "but nothing grows";
  governor.set_relief(nullptr);
  EXPECT_EQ(relief.aborts() + relief.shrinks(), 0);
  EXPECT_FALSE(ended_);
}

TEST_F(GovernorTest, GrowthIsRefusedByAFreshLookAndByWhatWasPromised) {
  Governor governor({.root = machine_.root(), .interval = std::chrono::hours(1)});
  EXPECT_TRUE(governor.may_take(40 * GiB));
  EXPECT_FALSE(governor.may_take(45 * GiB)) << "less than the soft floor would be left";
  set_available(30);
  EXPECT_FALSE(governor.may_take(20 * GiB)) << "nobody waits for the next look";
  EXPECT_TRUE(governor.may_take(10 * GiB));
  governor.set_promised([] { return 8 * GiB; });
  EXPECT_FALSE(governor.may_take(10 * GiB));
}

TEST_F(GovernorTest, RunningWorkTakesSmallPiecesUntilTheHardFloor) {
  set_available(12);
  Governor soft({.root = machine_.root(), .interval = std::chrono::hours(1)});
  EXPECT_TRUE(soft.may_take(MiB));
  EXPECT_FALSE(soft.may_take(64 * MiB));
  set_available(6);
  Governor hard({.root = machine_.root(), .interval = std::chrono::hours(1)});
  EXPECT_FALSE(hard.may_take(MiB));
}

}  // namespace
}  // namespace hearth::governor
