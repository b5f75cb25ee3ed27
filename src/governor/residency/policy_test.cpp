// Tables of what is resident, who has to leave, and what goes before anybody does.
#include "governor/residency/policy.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "governor/residency/evictor.h"

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

// Residents that lie in one budget. What leaves and what is given back is written down.
class Table final : public Resider {
 public:
  Table(Budget& budget, std::vector<Resident> all) : all_(std::move(all)) {
    for (const Resident& resident : all_) leases_.push_back(*budget.take(resident.bytes, resident.name));
  }
  std::vector<Resident> residents() const override { return all_; }
  bool evict(const std::string& name) override {
    for (size_t i = 0; i < all_.size(); ++i) {
      if (all_[i].name != name) continue;
      said.push_back("left " + name);
      all_.erase(all_.begin() + static_cast<std::ptrdiff_t>(i));
      leases_.erase(leases_.begin() + static_cast<std::ptrdiff_t>(i));
      return true;
    }
    return false;
  }
  int64_t shrink(int64_t bytes, bool with_cached, const std::string& but) override {
    int64_t all = 0;
    for (size_t i = 0; i < all_.size(); ++i) {
      Resident& r = all_[i];
      if (r.name == but) continue;
      const int64_t unused = std::min(r.unused_bytes, bytes - all);
      const int64_t cached = with_cached ? std::min(r.cached_bytes, bytes - all - unused) : 0;
      if (unused + cached == 0) continue;
      said.push_back("shrank " + r.name);
      r.unused_bytes -= unused;
      r.cached_bytes -= cached;
      r.bytes -= unused + cached;
      leases_[i].shrink(unused + cached);
      all += unused + cached;
    }
    return all;
  }
  Names said;

 private:
  std::vector<Resident> all_;
  std::vector<Lease> leases_;
};

struct Pool {
  explicit Pool(std::vector<Resident> all) : table(budget, std::move(all)) { evictor.add(table); }
  ~Pool() { evictor.remove(table); }
  // As who needs room does: until it fits or nothing changes.
  bool fits(int64_t bytes, const std::string& who = "") {
    while (!budget.take(bytes, who)) {
      if (!evictor.make_room(bytes, who, "room")) return false;
    }
    return true;
  }
  Budget budget{"host", 100};
  Table table;
  Evictor evictor{budget};
};

TEST(Evictor, MemoryThatHoldsNothingGoesBeforeAnybodyLeaves) {
  Pool pool({{.name = "busy", .bytes = 60, .is_busy = true, .unused_bytes = 30, .cached_bytes = 10},
             {.name = "idle", .bytes = 40, .idle_s = 9, .unused_bytes = 10}});
  EXPECT_TRUE(pool.fits(25));
  EXPECT_EQ(pool.table.said, (Names{"shrank busy"}));
  EXPECT_TRUE(pool.fits(50)) << "15 are unused still: the idle one leaves";
  EXPECT_EQ(pool.table.said, (Names{"shrank busy", "left idle"}));
}

TEST(Evictor, CachedWorkOfThoseThatStayGoesOnlyWhenThatIsEnough) {
  Pool pool({{.name = "busy", .bytes = 60, .is_busy = true, .cached_bytes = 30},
             {.name = "idle", .bytes = 40, .idle_s = 9}});
  EXPECT_FALSE(pool.fits(75));
  EXPECT_EQ(pool.table.said, Names{}) << "a hopeless wish costs nobody anything";
  EXPECT_TRUE(pool.fits(65));
  EXPECT_EQ(pool.table.said, (Names{"shrank busy", "left idle"}));
}

TEST(Evictor, WhoAsksKeepsItsOwn) {
  Pool pool({{.name = "asks", .bytes = 100, .idle_s = 9, .unused_bytes = 50, .cached_bytes = 30}});
  EXPECT_FALSE(pool.fits(10, "asks"));
  EXPECT_TRUE(pool.fits(10, "other"));
}

TEST(Evictor, WhatOthersTookOfTheMemoryMustComeFromSomebody) {
  Pool pool({{.name = "old", .bytes = 30, .idle_s = 9}, {.name = "new", .bytes = 30, .idle_s = 5}});
  pool.budget.set_room([&] { return Budget::Room{100 - 80 - pool.budget.leased_bytes(), 80}; });
  EXPECT_FALSE(pool.fits(25));
  EXPECT_EQ(pool.table.said, Names{}) << "a hopeless wish costs nobody anything";
  EXPECT_TRUE(pool.fits(10));
  EXPECT_EQ(pool.table.said, (Names{"left old", "left new"}));
}

TEST(Evictor, SaysWhatCouldBeHad) {
  Pool pool({{.name = "busy", .bytes = 60, .is_busy = true, .unused_bytes = 5, .cached_bytes = 10},
             {.name = "idle", .bytes = 40, .idle_s = 9}});
  const std::vector<Holding> idle = pool.evictor.idle();
  ASSERT_EQ(idle.size(), 2u);
  EXPECT_EQ(idle[0].holder, "idle");
  EXPECT_EQ(idle[1].holder, "spare pages of busy");
  EXPECT_EQ(idle[1].bytes, 15);
}

}  // namespace
}  // namespace hearth::governor
