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

TEST_F(ResidencyTest, BookedBytesCountAndMakeRoomLikeOthers) {
  use("a", 40 << 12);
  {
    const StorageRef held = parts_.book(80 << 12, "pictures");
    EXPECT_EQ(budget_.leased_bytes(), 80 << 12);
    EXPECT_FALSE(parts_.is_resident("a"));
    EXPECT_THROW(parts_.book(40 << 12, "pictures"), Error);
  }
  EXPECT_EQ(budget_.leased_bytes(), 0);
}

TEST_F(ResidencyTest, WhoKeepsOtherThingsGivesWayInTheSameOrder) {
  // A language model, say, idle for longer than any part.
  struct Other : governor::Resider {
    explicit Other(StorageRef storage) : storage(std::move(storage)) {}
    std::vector<governor::Resident> residents() const override {
      if (!storage) return {};
      return {{.name = "other", .bytes = storage->bytes(), .idle_s = 1e6}};
    }
    bool evict(const std::string& name) override {
      storage = {};
      return name == "other";
    }
    StorageRef storage;
  } other(*memory_.allocate(60 << 12, "other"));
  governor::Evictor shared(budget_);
  shared.add(parts_);
  shared.add(other);
  parts_.set_evictor(shared);
  use("a", 30 << 12);
  use("b", 60 << 12);
  EXPECT_TRUE(parts_.is_resident("a")) << "the other alone was enough";
  EXPECT_FALSE(other.storage);
  EXPECT_EQ(budget_.journal().entries().back().who, "other");
  use("c", 90 << 12);
  EXPECT_FALSE(parts_.is_resident("a") || parts_.is_resident("b"));
  EXPECT_EQ(budget_.journal().counts().evictions, 3u);
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
