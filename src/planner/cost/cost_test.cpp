#include "planner/cost/cost.h"

#include <gtest/gtest.h>

namespace hearth::planner {
namespace {

Machine machine() {
  Machine m{.name = "m", .bandwidth = 100};
  m.flops = {10, 1000, 5000, 0, 0};
  m.power_w = 50;
  return m;
}

TEST(Bound, IsTheSlowerOfWorkAndReading) {
  const Bound reading =
      bound({.name = "decode", .flops = 1000, .bytes = 400, .units = 2, .math = Math::kF16}, machine());
  EXPECT_DOUBLE_EQ(reading.seconds, 4);
  EXPECT_DOUBLE_EQ(reading.per_second(), 0.5);
  EXPECT_FALSE(reading.is_compute_bound);
  EXPECT_NE(reading.limit.find("memory bandwidth"), std::string::npos);
  EXPECT_DOUBLE_EQ(reading.joules, 200);
  const Bound working = bound({.name = "prefill", .flops = 9000, .bytes = 400, .math = Math::kF16}, machine());
  EXPECT_DOUBLE_EQ(working.seconds, 9);
  EXPECT_TRUE(working.is_compute_bound);
  EXPECT_NE(working.limit.find("fp16"), std::string::npos);
}

TEST(Bound, UsesTheNextWiderArithmeticThatIsKnown) {
  const Bound narrow = bound({.name = "prefill", .flops = 9000, .bytes = 1, .math = Math::kF4}, machine());
  EXPECT_DOUBLE_EQ(narrow.seconds, 9) << "as 16 bits: nothing narrower is known";
  const Bound wide = bound({.name = "prefill", .flops = 9000, .bytes = 1, .math = Math::kF32}, machine());
  EXPECT_DOUBLE_EQ(wide.seconds, 900);
  const Bound codes = bound({.name = "prefill", .flops = 9000, .bytes = 1, .math = Math::kI8}, machine());
  EXPECT_DOUBLE_EQ(codes.seconds, 1.8);
  EXPECT_EQ(bound({.name = "x", .flops = 1, .bytes = 1}, Machine{}).seconds, 0) << "nothing known, nothing said";
}

// 400 W for 22 s are 2.44 Wh.
TEST(Price, IsThatOfTheEnergy) {
  EXPECT_NEAR(price(400 * 22, 0.15), 0.00036667, 1e-8);
  EXPECT_DOUBLE_EQ(price(3.6e6, 0.30), 0.30);
}

}  // namespace
}  // namespace hearth::planner
