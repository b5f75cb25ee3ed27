// Tables of what is resident and who has to leave.
#include "governor/residency/policy.h"

#include <gtest/gtest.h>

namespace hearth::governor {
namespace {

using Names = std::vector<std::string>;

Names names(const std::vector<Resident>& all, const std::vector<size_t>& chosen) {
  Names out;
  for (size_t i : chosen) out.push_back(all[i].name);
  return out;
}

TEST(Policy, LongestIdleLeavesFirst) {
  const std::vector<Resident> all{{.name = "new", .bytes = 10, .idle_s = 1, .reload_s = 0.2},
                                  {.name = "old", .bytes = 10, .idle_s = 90, .reload_s = 0.1},
                                  {.name = "older", .bytes = 10, .idle_s = 100, .reload_s = 0.9}};
  EXPECT_EQ(names(all, leaving_order(all)), (Names{"older", "old", "new"}));
}

TEST(Policy, WhatIsDearToReloadStaysLonger) {
  const std::vector<Resident> all{{.name = "dear", .bytes = 80, .idle_s = 100, .reload_s = 40},
                                  {.name = "cheap", .bytes = 10, .idle_s = 20, .reload_s = 2}};
  EXPECT_EQ(names(all, leaving_order(all)), (Names{"cheap", "dear"}));
}

TEST(Policy, EquallyIdleTheLargerLeavesFirst) {
  const std::vector<Resident> all{{.name = "small", .bytes = 1, .idle_s = 5},
                                  {.name = "large", .bytes = 9, .idle_s = 5}};
  EXPECT_EQ(names(all, leaving_order(all)), (Names{"large", "small"}));
}

TEST(Policy, BusyPinnedAndWaitedForStay) {
  const std::vector<Resident> all{{.name = "busy", .bytes = 10, .idle_s = 900, .is_busy = true},
                                  {.name = "pinned", .bytes = 10, .idle_s = 900, .is_pinned = true},
                                  {.name = "waited for", .bytes = 10, .idle_s = 900, .waiting = 1},
                                  {.name = "idle", .bytes = 10, .idle_s = 0}};
  EXPECT_EQ(names(all, leaving_order(all)), (Names{"idle"}));
  EXPECT_TRUE(choose_leaving(all, 11).empty()) << "a hopeless wish unloads nobody";
}

TEST(Policy, NoMoreLeavesThanIsNeeded) {
  const std::vector<Resident> all{{.name = "small", .bytes = 2, .idle_s = 50},
                                  {.name = "large", .bytes = 20, .idle_s = 40},
                                  {.name = "last", .bytes = 20, .idle_s = 1}};
  EXPECT_EQ(names(all, choose_leaving(all, 2)), (Names{"small"}));
  EXPECT_EQ(names(all, choose_leaving(all, 15)), (Names{"large"})) << "the small one would not have helped";
  EXPECT_EQ(names(all, choose_leaving(all, 22)), (Names{"small", "large"}));
  EXPECT_EQ(choose_leaving(all, 42).size(), 3u);
  EXPECT_TRUE(choose_leaving(all, 43).empty());
}

}  // namespace
}  // namespace hearth::governor
