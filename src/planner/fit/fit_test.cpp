#include "planner/fit/fit.h"

#include <gtest/gtest.h>

#include "core/base/units.h"

namespace hearth::planner {
namespace {

// Bytes that anyone can add up: ten of weights, one a token of context, two a sequence, five a picture.
class Plain final : public Subject {
 public:
  explicit Plain(bool is_picture) { facts_ = {.name = "plain", .is_picture = is_picture, .own_context = 1000}; }
  const SubjectFacts& facts() const override { return facts_; }
  Demand demand(const Ask& ask) const override {
    if (facts_.is_picture) return {.weights_bytes = 10, .arena_bytes = 5 * ask.batch};
    return {.weights_bytes = 10, .state_bytes = ask.context, .buffer_bytes = 2 * ask.parallel};
  }
  std::vector<Phase> phases(const Ask&) const override { return {}; }

 private:
  SubjectFacts facts_;
};

Machine pool_of(int64_t bytes) {  // a card: a fiftieth stays free
  return {.name = "card", .is_unified = false, .memory_bytes = bytes};
}

TEST(Largest, FindsTheLastThatFits) {
  auto bytes = [](int64_t n) { return 3 * n; };
  EXPECT_EQ(largest_within(30, 1, 100, bytes), 10);
  EXPECT_EQ(largest_within(30, 4, 100, bytes), 8);
  EXPECT_EQ(largest_within(2, 1, 100, bytes), 0);
  EXPECT_EQ(largest_within(1000, 4, 99, bytes), 99) << "all that was asked for, though no whole steps";
  EXPECT_EQ(largest_within(1000, 1, 0, bytes), 0);
}

TEST(Fit, OneModelGetsWhatIsLeft) {
  const Fit got = fit({{std::make_shared<Plain>(false), {.context = 100, .parallel = 4, .page_tokens = 1}}},
                      pool_of(500));
  EXPECT_EQ(got.budget_bytes, 490);
  EXPECT_EQ(got.needed_bytes, 118);
  EXPECT_EQ(got.left_bytes(), 372);
  EXPECT_TRUE(got.does_fit());
  EXPECT_EQ(got.shares[0].largest_context, 472);  // 490 - 10 - 8
  EXPECT_EQ(got.shares[0].largest_parallel, 4);   // 10 + n (100 + 2)
}

TEST(Fit, SeveralModelsShareOneBudget) {
  const Want chat{std::make_shared<Plain>(false), {.context = 100, .parallel = 4, .page_tokens = 1}};
  const Want pictures{std::make_shared<Plain>(true), {.batch = 2}};
  const Fit got = fit({chat, pictures}, pool_of(200));
  EXPECT_EQ(got.needed_bytes, 138);
  EXPECT_EQ(got.shares[1].largest_batch, (196 - 118 - 10) / 5);
  EXPECT_EQ(got.shares[0].largest_context, 196 - 20 - 18);
  const Fit full = fit({chat, chat, pictures}, pool_of(200));
  EXPECT_FALSE(full.does_fit());
  EXPECT_EQ(full.left_bytes(), 196 - 256);
}

TEST(MachineBudget, KeepsWhatTheGovernorKeeps) {
  Machine spark{.name = "gb10", .memory_bytes = 128 * GiB};
  spark.caps.target = DeviceKind::kCuda;
  spark.caps.is_integrated = true;
  EXPECT_EQ(spark.kept_bytes(), 128 * GiB / 10);  // 12.8 GiB, above 12
  spark.driver_bytes = GiB;
  EXPECT_EQ(spark.kept_bytes(), 128 * GiB / 10 + GiB);
  EXPECT_EQ(spark.times(2).budget_bytes(), 2 * spark.budget_bytes());
  const Machine host{.name = "pc", .memory_bytes = 4 * GiB};
  EXPECT_EQ(host.budget_bytes(), 3 * GiB) << "a GiB at least";
  Machine capped{.name = "container", .memory_bytes = 64 * GiB, .cgroup_bytes = 8 * GiB};
  EXPECT_EQ(capped.budget_bytes(), 7 * GiB);
  capped.configured_bytes = 2 * GiB;
  EXPECT_EQ(capped.budget_bytes(), 2 * GiB);
}

}  // namespace
}  // namespace hearth::planner
