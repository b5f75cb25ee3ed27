// Which pieces of files are read together.
#include "models/load/read_plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

namespace hearth {
namespace {

TEST(ReadPlan, JoinsNeighboursUpToTheSizeOfARead) {
  const std::vector<Extent> pieces = {{0, 100, 50}, {0, 0, 100}, {0, 150, 60}, {0, 210, 10}};
  const ReadPlan plan = plan_reads(pieces, 210, 0);
  ASSERT_EQ(plan.reads.size(), 2u);
  EXPECT_EQ(plan.reads[0].extent, (Extent{0, 0, 210}));
  EXPECT_EQ(plan.reads[1].extent, (Extent{0, 210, 10}));
  EXPECT_EQ(plan.pieces, (std::vector<int64_t>{1, 0, 2, 3}));
  EXPECT_EQ(plan.reads[0].n, 3);
  EXPECT_EQ(plan.reads[1].first, 3);
}

TEST(ReadPlan, LeapsSmallGapsOnlyAndNeverFromFileToFile) {
  const std::vector<Extent> pieces = {{0, 0, 10}, {0, 14, 10}, {0, 29, 10}, {1, 39, 10}};
  const ReadPlan plan = plan_reads(pieces, 1000, 4);
  ASSERT_EQ(plan.reads.size(), 3u);
  EXPECT_EQ(plan.reads[0].extent, (Extent{0, 0, 24}));
  EXPECT_EQ(plan.reads[1].extent, (Extent{0, 29, 10}));
  EXPECT_EQ(plan.reads[2].extent, (Extent{1, 39, 10}));
}

TEST(ReadPlan, LeavesLongPiecesAlone) {
  const ReadPlan plan = plan_reads(std::vector<Extent>{{0, 0, 10}, {0, 10, 5000}, {0, 5010, 10}}, 1000, 0);
  ASSERT_EQ(plan.reads.size(), 3u);
  EXPECT_EQ(plan.reads[1].extent, (Extent{0, 10, 5000}));
  EXPECT_TRUE(plan_reads({}, 1000, 0).reads.empty());
}

TEST(ReadPlan, HoldsEveryPieceOnceAndWhole) {
  std::mt19937 numbers(1);
  auto random = [&] { return static_cast<int64_t>(numbers()); };
  for (int round = 0; round < 200; ++round) {
    std::vector<Extent> pieces;
    for (int64_t i = random() % 60; i > 0; --i) {  // tied weights are read twice: pieces overlap
      pieces.push_back({static_cast<int>(random() % 3), random() % 3000, 1 + random() % 400});
    }
    const ReadPlan plan = plan_reads(pieces, 500, random() % 50);
    std::vector<int> times(pieces.size());
    int64_t next = 0;
    for (const ReadPlan::Read& read : plan.reads) {
      EXPECT_LE(read.extent.bytes, 500);
      EXPECT_EQ(read.first, next);
      next += read.n;
      for (int64_t i = read.first; i < next; ++i) {
        const Extent& piece = pieces[plan.pieces[i]];
        ++times[plan.pieces[i]];
        EXPECT_EQ(piece.file, read.extent.file);
        EXPECT_GE(piece.offset, read.extent.offset);
        EXPECT_LE(piece.offset + piece.bytes, read.extent.offset + read.extent.bytes);
      }
    }
    EXPECT_EQ(next, std::ssize(pieces));
    EXPECT_TRUE(std::all_of(times.begin(), times.end(), [](int n) { return n == 1; }));
  }
}

}  // namespace
}  // namespace hearth
