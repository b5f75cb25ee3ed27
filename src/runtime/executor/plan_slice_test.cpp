// plan_slice: class within its share, before deadline, before fair share, before arrival.
#include "runtime/executor/plan_slice.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(PlanSlice, HigherClassFirst) {
  WaitingStep waiting[] = {{.work_class = WorkClass::kBatch, .deadline_s = 1.0, .arrival = 0},
                           {.work_class = WorkClass::kInteractive, .arrival = 1}};
  EXPECT_EQ(plan_slice(waiting), 1u);
}

TEST(PlanSlice, ALaneThatIsAheadLetsALowerClassCatchUp) {
  WaitingStep waiting[] = {{.work_class = WorkClass::kBatch, .lane_served_s = 2, .arrival = 1},
                           {.work_class = WorkClass::kInteractive, .lane_served_s = 3, .arrival = 0}};
  EXPECT_EQ(plan_slice(waiting), 0u);
  waiting[0].lane_served_s = 3;
  EXPECT_EQ(plan_slice(waiting), 1u);
  waiting[0].work_class = WorkClass::kInteractive;
  waiting[1].work_class = WorkClass::kBatch;
  waiting[1].lane_served_s = 9;
  EXPECT_EQ(plan_slice(waiting), 0u) << "a lower class waits for as long as it is ahead itself";
}

TEST(PlanSlice, EarliestDeadlineWithinAClass) {
  WaitingStep waiting[] = {{.deadline_s = 5.0, .arrival = 0}, {.deadline_s = 2.0, .arrival = 1}, {.arrival = 2}};
  EXPECT_EQ(plan_slice(waiting), 1u);
}

TEST(PlanSlice, LaneServedLeastThenFirstCome) {
  WaitingStep waiting[] = {{.lane = 0, .lane_served_s = 3, .arrival = 0},
                           {.lane = 1, .lane_served_s = 1, .arrival = 2},
                           {.lane = 2, .lane_served_s = 1, .arrival = 1}};
  EXPECT_EQ(plan_slice(waiting), 2u);
}

TEST(PlanSlice, NothingWaiting) { EXPECT_FALSE(plan_slice({})); }

}  // namespace
}  // namespace hearth
