// The budget of a GPU with memory of its own, over a driver that is written down: other programs come and go.
#include "governor/budget/device_account.h"

#include <gtest/gtest.h>

#include "core/base/units.h"

namespace hearth::governor {
namespace {

class Device : public ::testing::Test {
 protected:
  // What our own program takes of it, a lease at a time.
  Lease hold(int64_t bytes, const char* holder) {
    Lease lease = *account_.budget().take(bytes, holder);
    memory_.free_bytes -= bytes;
    return lease;
  }
  DeviceAccount::Memory memory_{.total_bytes = 100 * GiB, .free_bytes = 100 * GiB};
  DeviceAccount account_{"cuda:0", 0, [this] { return memory_; }};
};

TEST_F(Device, WhatOthersHoldIsNotOurs) {
  EXPECT_EQ(account_.budget().limit_bytes(), 98 * GiB);
  const Lease driver = hold(GiB, "driver"), model = hold(30 * GiB, "weights large");
  EXPECT_EQ(account_.budget().limit_bytes(), 98 * GiB) << "what we hold ourselves stays ours";
  EXPECT_EQ(account_.others_bytes(), 0);
  memory_.free_bytes -= 60 * GiB;
  EXPECT_EQ(account_.others_bytes(), 60 * GiB);
  EXPECT_EQ(account_.budget().free_bytes(), 7 * GiB);

  const Result<Lease> refused = account_.budget().take(8 * GiB, "weights more");
  ASSERT_FALSE(refused);
  const std::string& words = refused.error().message();
  EXPECT_NE(words.find("7.00 GiB of 38.00 GiB free"), words.npos) << words;
  EXPECT_NE(words.find("other programs hold 60.00 GiB"), words.npos) << words;
  EXPECT_NE(words.find("Close other programs"), words.npos) << words;
  EXPECT_EQ(refused.error().details()->at("available_bytes").as_int(), 7 * GiB);
  EXPECT_EQ(refused.error().details()->at("others_bytes").as_int(), 60 * GiB);
  EXPECT_EQ(refused.error().details()->at("reserve_bytes").as_int(), 2 * GiB);

  memory_.free_bytes += 60 * GiB;
  EXPECT_TRUE(account_.budget().take(8 * GiB, "weights more")) << "they ended";
}

TEST_F(Device, AModelTooLargeForTheCardIsNotBlamedOnOthers) {
  memory_.free_bytes -= GiB;
  const Result<Lease> refused = account_.budget().take(120 * GiB, "weights huge");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message().find("Close other programs"), std::string::npos) << refused.error().message();
}

TEST_F(Device, WhatIsPromisedAndNotTakenIsNobodyElses) {
  int64_t used = 0;
  const Lease promised = *account_.budget().take(40 * GiB, "reserved for trainer");
  account_.set_promised([&] { return std::max<int64_t>(40 * GiB - used, 0); });
  EXPECT_EQ(account_.others_bytes(), 0);
  EXPECT_EQ(account_.budget().free_bytes(), 58 * GiB);
  used = 25 * GiB;
  memory_.free_bytes -= used;
  EXPECT_EQ(account_.others_bytes(), 0);
  EXPECT_EQ(account_.budget().free_bytes(), 58 * GiB) << "what it takes was promised to it";
  used = 45 * GiB;
  memory_.free_bytes -= 20 * GiB;
  EXPECT_EQ(account_.others_bytes(), 5 * GiB) << "more than it reserved";
  EXPECT_EQ(account_.budget().free_bytes(), 53 * GiB);
}

TEST_F(Device, AConfiguredBudgetIsAnUpperBound) {
  DeviceAccount small("cuda:0", 20 * GiB, [this] { return memory_; });
  EXPECT_EQ(small.budget().limit_bytes(), 20 * GiB);
  memory_.free_bytes = 10 * GiB;
  EXPECT_EQ(small.budget().limit_bytes(), 8 * GiB);
  memory_ = {};
  EXPECT_EQ(small.budget().limit_bytes(), 0) << "a lost device has nothing to give";
}

}  // namespace
}  // namespace hearth::governor
