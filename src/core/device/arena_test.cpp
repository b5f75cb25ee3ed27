// Arena: same requests, same offsets; coalescing; Meta peak equals the real need.
#include "core/device/arena.h"

#include <gtest/gtest.h>

#include <random>

#include "core/device/allocator.h"

namespace hearth {
namespace {

// A random but repeatable sequence of makes and releases; returns the offsets it got.
std::vector<int64_t> run_sequence(Arena& arena, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Tensor> held;
  std::vector<int64_t> offsets;
  for (int i = 0; i < 500; ++i) {
    if (!held.empty() && random() % 3 == 0) {
      std::swap(held[random() % held.size()], held.back());
      held.pop_back();
    } else {
      held.push_back(arena.make(DType::kF32, {1 + static_cast<int64_t>(random() % 5000)}));
      offsets.push_back(held.back().storage()->offset());
    }
  }
  return offsets;
}

TEST(Arena, GivesTheSameOffsetsForTheSameSequence) {
  RawAllocator memory({DeviceKind::kCpu});
  Arena meta;
  auto first = run_sequence(meta, 7);
  EXPECT_TRUE(meta.is_empty());
  Arena real(*memory.allocate(meta.peak_bytes(), "test"));
  EXPECT_EQ(run_sequence(real, 7), first);
  EXPECT_EQ(run_sequence(real, 7), first) << "an emptied arena starts afresh";
  EXPECT_EQ(real.peak_bytes(), meta.peak_bytes());
}

TEST(Arena, RefusesWithNumbersWhenFull) {
  RawAllocator memory({DeviceKind::kCpu});
  Arena arena(*memory.allocate(4096, "test"));
  Tensor most = arena.make(DType::kU8, {4000});
  try {
    arena.make(DType::kU8, {300});
    FAIL() << "an overfull arena gave memory";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kNoMemory);
  }
  most = Tensor();
  EXPECT_NO_THROW(arena.make(DType::kU8, {4096}));
}

TEST(Arena, ReturnsItsMemoryToTheAllocator) {
  RawAllocator memory({DeviceKind::kCpu});
  { Arena arena(*memory.allocate(1 << 20, "test")); EXPECT_EQ(memory.held_bytes(), 1 << 20); }
  EXPECT_EQ(memory.held_bytes(), 0);
}

}  // namespace
}  // namespace hearth
