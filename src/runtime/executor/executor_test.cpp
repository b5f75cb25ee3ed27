// Executor: steps of a lane in order, a higher class runs inside a lower one at its cuts, cancellation ends a step at a
// cut, a throwing step fails alone.
#include "runtime/executor/executor.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <future>
#include <vector>

#include "core/device/allocator.h"

namespace hearth {
namespace {

class ExecutorTest : public ::testing::Test {
 protected:
  RawAllocator memory_{{DeviceKind::kCpu}};
  Executor executor_{{DeviceKind::kCpu}, cpu_caps(2), 2};
  Lane low_{"low", {DeviceKind::kCpu}, *memory_.allocate(1 << 20, "low")};
  Lane high_{"high", {DeviceKind::kCpu}, *memory_.allocate(1 << 20, "high")};

  static constexpr auto never = [] { return false; };
  Result<void> run(Lane& lane, WorkClass work_class, FunctionRef<void(Ctx&)> body,
                   FunctionRef<bool()> is_cancelled = never) {
    return executor_.run({.lane = lane, .work_class = work_class, .body = body, .is_cancelled = is_cancelled});
  }
};

TEST_F(ExecutorTest, HigherClassRunsAtACutOfALowerOne) {
  std::string order;
  std::promise<void> started, queued;
  std::future<void> is_queued = queued.get_future();
  auto low = std::async(std::launch::async, [&] {
    return run(low_, WorkClass::kBatch, [&](Ctx& c) {
      order += "a";
      started.set_value();
      is_queued.wait();
      // The other thread is about to wait in run(); cut until its step has been seen.
      while (executor_.steps_run_at_cuts() == 0) c.cut();
      order += "c";
    });
  });
  started.get_future().wait();
  auto high = std::async(std::launch::async, [&] {
    return run(high_, WorkClass::kInteractive, [&](Ctx&) { order += "b"; });
  });
  queued.set_value();
  EXPECT_TRUE(low.get());
  EXPECT_TRUE(high.get());
  EXPECT_EQ(order, "abc");
  EXPECT_EQ(executor_.steps_run(), 2u);
}

TEST_F(ExecutorTest, CancelledStepEndsAtItsNextCut) {
  bool cancelled = false, went_on = false;
  Result<void> done = run(
      low_, WorkClass::kBatch,
      [&](Ctx& c) {
        Tensor held = c.make(DType::kF32, {16});
        cancelled = true;
        c.cut();
        went_on = true;
      },
      [&] { return cancelled; });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Code::kCancelled);
  EXPECT_FALSE(went_on);
  EXPECT_TRUE(low_.arena().is_empty());
}

TEST_F(ExecutorTest, ThrowingStepFailsAlone) {
  Result<void> failed = run(low_, WorkClass::kBatch, [](Ctx&) { throw Error(Code::kIo, "broken"); });
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().message(), "broken");
  EXPECT_TRUE(run(low_, WorkClass::kBatch, [](Ctx&) {}));
}

// A lane that was idle, or is new, has no claim on the time it did not use; and a step is not charged for others that
// ran at its cuts.
TEST_F(ExecutorTest, IdleTimeEarnsNothingAndNestedStepsAreChargedOnce) {
  auto spin = [](double seconds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(seconds);
    while (std::chrono::steady_clock::now() < end) {
    }
  };
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(run(low_, WorkClass::kBatch, [&](Ctx&) { spin(0.01); }));
  EXPECT_GE(low_.served_s, 0.2);
  ASSERT_TRUE(run(high_, WorkClass::kInteractive, [](Ctx&) {}));
  EXPECT_GE(high_.served_s, 0.13) << "starts a little behind where the lane served last began";

  std::promise<void> started;
  const double before = low_.served_s;
  const auto begin = std::chrono::steady_clock::now();
  auto low = std::async(std::launch::async, [&] {
    return run(low_, WorkClass::kBatch, [&](Ctx& c) {
      started.set_value();
      while (executor_.steps_run_at_cuts() == 0) c.cut();
    });
  });
  started.get_future().wait();
  ASSERT_TRUE(run(high_, WorkClass::kInteractive, [&](Ctx&) { spin(0.2); }));
  ASSERT_TRUE(low.get());
  const double elapsed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  EXPECT_LE(low_.served_s - before, elapsed - 0.2);
}

// One op without a cut, long enough for many steps of a higher class: they run in the middle of it, no more than their
// share, and every index of the op is visited once.
TEST_F(ExecutorTest, AHigherClassRunsInTheMiddleOfAnOpForItsShare) {
  constexpr int64_t kChunks = 100;
  auto spin_ms = [](double ms) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double, std::milli>(ms);
    while (std::chrono::steady_clock::now() < end) {
    }
  };
  std::vector<std::atomic<int>> seen(kChunks);
  std::promise<void> started;
  std::atomic<bool> is_over{false};
  auto low = std::async(std::launch::async, [&] {
    return run(low_, WorkClass::kBatch, [&](Ctx& c) {
      started.set_value();
      c.parallel_for(kChunks, 1, [&](int64_t begin, int64_t) {
        spin_ms(5);
        ++seen[static_cast<size_t>(begin)];
      });
      is_over = true;
    });
  });
  started.get_future().wait();
  int inside = 0;
  while (!is_over) {
    ASSERT_TRUE(run(high_, WorkClass::kInteractive, [&](Ctx& c) {
      std::atomic<int64_t> sum{0};
      c.parallel_for(100, 10, [&](int64_t begin, int64_t end) { sum += end - begin; });
      EXPECT_EQ(sum, 100);
      spin_ms(2);
      inside += is_over ? 0 : 1;
    }));
  }
  ASSERT_TRUE(low.get());
  EXPECT_GT(inside, 5);
  for (auto& count : seen) ASSERT_EQ(count.load(), 1);
  EXPECT_LT(high_.served_s, low_.served_s + 0.05) << "the op kept its share";
}

// Weights are read while somebody is being answered.
TEST_F(ExecutorTest, StepsRunInTheMiddleOfPoolWork) {
  std::promise<void> started;
  std::atomic<bool> was_seen{false};
  auto load = std::async(std::launch::async, [&] {
    return executor_.run_on_pool([&](ThreadPool& pool) {
      started.set_value();
      // Bounded only by the step that runs inside: as many chunks as it takes.
      while (executor_.steps_run_at_cuts() == 0) pool.parallel_for(64, 1, [](int64_t, int64_t) {});
      was_seen = true;
    });
  });
  started.get_future().wait();
  ASSERT_TRUE(run(high_, WorkClass::kInteractive, [&](Ctx&) { EXPECT_FALSE(was_seen); }));
  EXPECT_TRUE(load.get());
}

TEST_F(ExecutorTest, LeakedArenaMemoryIsABug) {
  Tensor leaked;
  Result<void> done = run(low_, WorkClass::kBatch, [&](Ctx& c) { leaked = c.make(DType::kF32, {4}); });
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code(), Code::kInternal);
}

}  // namespace
}  // namespace hearth
