// Parts stay while they are used, the one used longest ago leaves first, and a lease that does not fit makes idle parts
// leave before it is refused.
#include "runtime/diffuse/residency.h"

#include <gtest/gtest.h>

#include <thread>

#include "governor/budget/budget.h"

namespace hearth::diffuse {
namespace {

struct Block : Part {
  explicit Block(StorageRef storage) : storage(std::move(storage)) {}
  int64_t bytes() const override { return storage->bytes(); }
  StorageRef storage;
};

class ResidencyTest : public ::testing::Test {
 protected:
  std::shared_ptr<const Part> use(const std::string& key, int64_t bytes) {
    return parts_.use(key, [&] {
      ++made_;
      return std::make_shared<Block>(parts_.allocate(bytes, key));
    });
  }
  governor::Budget budget_{"cpu", 100 << 12};
  governor::LeasedAllocator memory_{budget_, {DeviceKind::kCpu}};
  Residency parts_{memory_};
  int made_ = 0;
};

TEST_F(ResidencyTest, APartIsMadeOnceWhileItIsThere) {
  use("a", 40 << 12);
  use("a", 40 << 12);
  EXPECT_EQ(made_, 1);
  EXPECT_EQ(parts_.idle_bytes(), 40 << 12);
  parts_.evict_idle();
  EXPECT_EQ(budget_.leased_bytes(), 0);
  use("a", 40 << 12);
  EXPECT_EQ(made_, 2);
}

TEST_F(ResidencyTest, WhatWasUsedLongestAgoLeavesFirst) {
  use("a", 40 << 12);
  use("b", 40 << 12);
  use("a", 40 << 12);
  use("c", 40 << 12);
  EXPECT_TRUE(parts_.is_resident("a"));
  EXPECT_FALSE(parts_.is_resident("b"));
  EXPECT_TRUE(parts_.is_resident("c"));
}

TEST_F(ResidencyTest, WhatIsInUseStaysAndTheRefusalSaysWhoHoldsIt) {
  const std::shared_ptr<const Part> a = use("weights a", 60 << 12);
  try {
    use("b", 60 << 12);
    FAIL() << "60 of 100 are in use";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kNoMemory);
    EXPECT_NE(e.message().find("weights a"), std::string::npos) << e.message();
  }
  EXPECT_FALSE(parts_.is_resident("b"));
  EXPECT_EQ(budget_.leased_bytes(), 60 << 12);
}

TEST_F(ResidencyTest, OthersAreAskedLast) {
  StorageRef elsewhere = *memory_.allocate(60 << 12, "a language model");
  use("a", 30 << 12);
  int asked = 0;
  parts_.set_make_room([&](int64_t) {
    EXPECT_FALSE(parts_.is_resident("a")) << "what is idle here leaves before others are asked";
    ++asked;
    elsewhere = {};
    return true;
  });
  EXPECT_TRUE(use("b", 90 << 12));
  EXPECT_EQ(asked, 1);
}

TEST_F(ResidencyTest, ManyThreadsMakeEachPartOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) EXPECT_TRUE(use(std::string(1, static_cast<char>('a' + (t + i) % 3)), 20 << 12));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(made_, 3);
}

}  // namespace
}  // namespace hearth::diffuse
