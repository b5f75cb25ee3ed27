// LeasedAllocator on a device that shares the host's memory: steps, looks between them, and nothing left when one of
// them fails.
#include <gtest/gtest.h>

#include "core/base/units.h"
#include "governor/budget/budget.h"

namespace hearth::governor {
namespace {

constexpr int64_t kStep = 32 * MiB;
constexpr int64_t kWhole = 98 * MiB;  // 96 MiB and some bytes, in granules of 2 MiB

// A device with its driver: what was asked of it in order, and what it holds.
struct FakeDevice {
  std::vector<std::string> calls;
  int64_t reserved = 0, mapped = 0;
  size_t refuse_look = 0, refuse_step = 0;  // counted from 1
  size_t looks = 0, steps = 0;
  Code failure = Code::kNoMemory;
};

class FakeMemory final : public GrowingMemory {
 public:
  FakeMemory(FakeDevice& device, const Budget& budget, int64_t bytes)
      : device_(device), budget_(budget), bytes_(bytes) {
    device_.reserved += bytes_;
  }
  ~FakeMemory() override {
    EXPECT_GE(budget_.leased_bytes(), grown_) << "a lease leaves after what it stands for";
    device_.mapped -= grown_;
    device_.reserved -= bytes_;
  }
  std::byte* data() const override { return reinterpret_cast<std::byte*>(int64_t{4096}); }
  Result<void> grow(int64_t bytes) override {
    device_.calls.push_back("take " + format_bytes(bytes));
    EXPECT_LE(grown_ + bytes, bytes_);
    if (++device_.steps == device_.refuse_step) {
      if (device_.failure == Code::kDevice) throw Error(Code::kDevice, "cuMemMap on cuda:0: an error");
      return unexpected(Code::kNoMemory, "cuda:0 refused a step");
    }
    grown_ += bytes;
    device_.mapped += bytes;
    return {};
  }

 private:
  FakeDevice& device_;
  const Budget& budget_;
  const int64_t bytes_;
  int64_t grown_ = 0;
};

class DeviceSteps : public ::testing::Test {
 protected:
  Result<void> look(int64_t bytes) {
    device_.calls.push_back("look " + format_bytes(bytes));
    promised_.push_back(budget_.untouched_bytes());
    if (++device_.looks == device_.refuse_look) return unexpected(Code::kNoMemory, "the host has 1.0 GiB left");
    return {};
  }
  Result<std::unique_ptr<GrowingMemory>> reserve(int64_t bytes) {
    return std::unique_ptr<GrowingMemory>(std::make_unique<FakeMemory>(device_, budget_, bytes));
  }
  void expect_nothing_is_left() {
    EXPECT_EQ(budget_.leased_bytes(), 0);
    EXPECT_EQ(budget_.untouched_bytes(), 0);
    EXPECT_EQ(device_.mapped, 0);
    EXPECT_EQ(device_.reserved, 0);
  }

  FakeDevice device_;
  std::vector<int64_t> promised_;  // at each look
  Budget budget_{"unified", GiB};
  LeasedAllocator memory_{budget_, Device{DeviceKind::kCuda}, [this](int64_t bytes) { return look(bytes); }, kStep,
                          [this](int64_t bytes) { return reserve(bytes); }};
};

TEST_F(DeviceSteps, EachIsLookedAtBeforeItIsTaken) {
  StorageRef held = *memory_.allocate_untouched(96 * MiB + 5, "weights large");
  EXPECT_EQ(device_.calls,
            (std::vector<std::string>{"look 98.0 MiB", "take 32.0 MiB", "look 32.0 MiB", "take 32.0 MiB",
                                      "look 32.0 MiB", "take 32.0 MiB", "look 2.0 MiB", "take 2.0 MiB"}));
  EXPECT_EQ(promised_, (std::vector<int64_t>{0, 34 * MiB, 2 * MiB, 0})) << "to the steps after it";
  EXPECT_EQ(held->bytes(), 96 * MiB + 5);
  EXPECT_EQ(held->data(), reinterpret_cast<std::byte*>(int64_t{4096}));
  EXPECT_EQ(device_.mapped, kWhole);
  EXPECT_EQ(budget_.leased_bytes(), kWhole);
  EXPECT_EQ(budget_.untouched_bytes(), 0);
  held->take_pages(0, 96 * MiB);
  EXPECT_EQ(device_.looks, 4U) << "all of it is there already";
  held = {};
  expect_nothing_is_left();
}

TEST_F(DeviceSteps, ALookThatSaysNoGivesTheStepsBeforeItBack) {
  for (size_t at : {1, 2, 4}) {
    device_ = {};
    device_.refuse_look = at;
    const Result<StorageRef> refused = memory_.allocate(96 * MiB + 5, "weights large");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::kNoMemory);
    EXPECT_EQ(refused.error().details()->at("reason").as_string(), "the host has 1.0 GiB left");
    EXPECT_EQ(device_.steps, at - 1) << "what is refused is not taken";
    expect_nothing_is_left();
  }
}

TEST_F(DeviceSteps, AStepThatTheDriverRefusesGivesTheOthersBackWithNumbers) {
  for (size_t at : {1, 3, 4}) {
    device_ = {};
    device_.refuse_step = at;
    const Result<StorageRef> refused = memory_.allocate_untouched(96 * MiB + 5, "weights large");
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code(), Code::kNoMemory);
    const Value& numbers = *refused.error().details();
    EXPECT_EQ(numbers.at("reason").as_string(), "cuda:0 refused a step");
    EXPECT_EQ(numbers.at("needed_bytes").as_int(), at == 4 ? 2 * MiB : kStep);
    EXPECT_EQ(numbers.at("budget_bytes").as_int(), GiB);
    EXPECT_EQ(device_.steps, at);
    expect_nothing_is_left();
  }
}

TEST_F(DeviceSteps, ABrokenDeviceGivesEverythingBack) {
  device_.refuse_step = 3;
  device_.failure = Code::kDevice;
  EXPECT_THROW((void)memory_.allocate(96 * MiB, "weights large"), Error);
  expect_nothing_is_left();
}

TEST_F(DeviceSteps, TheyAreGivenUpInTheMiddle) {
  memory_.cancel_growth();
  EXPECT_EQ(memory_.allocate(96 * MiB, "weights large").error().code(), Code::kCancelled);
  EXPECT_EQ(device_.steps, 1U);
  expect_nothing_is_left();
}

TEST_F(DeviceSteps, WhatIsLeasedToOthersIsRefusedBeforeAnyOfThem) {
  const Lease others = *budget_.take(GiB - 64 * MiB, "other");
  EXPECT_FALSE(memory_.allocate(96 * MiB, "weights large"));
  EXPECT_EQ(device_.calls, std::vector<std::string>{});
}

TEST_F(DeviceSteps, OneStepIsTakenInOnePiece) {
  try {
    (void)memory_.allocate(kStep, "arena tiny");  // from the device itself, where there is one
  } catch (const Error& none) {
    EXPECT_EQ(none.code(), Code::kDevice);
  }
  EXPECT_EQ(device_.calls, std::vector<std::string>{"look 32.0 MiB"});
  expect_nothing_is_left();
}

}  // namespace
}  // namespace hearth::governor
