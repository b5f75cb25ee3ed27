// The budget of a GPU with memory of its own, over a driver that is written down: other programs come and go.
#include "governor/budget/device_account.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "core/base/units.h"
#include "governor/report.h"

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
  int64_t room() { return account_.budget().headroom_bytes(); }

  DeviceAccount::Memory memory_{.total_bytes = 100 * GiB, .free_bytes = 100 * GiB};
  bool is_lost_ = false;
  DeviceAccount account_{"cuda:0", 0, [this] {
                           if (is_lost_) throw Error(Code::kDevice, "cudaMemGetInfo on cuda:0: an error");
                           return memory_;
                         }};
};

TEST_F(Device, WhatOthersHoldIsNotOurs) {
  EXPECT_EQ(room(), 98 * GiB);
  const Lease driver = hold(GiB, "driver"), model = hold(30 * GiB, "weights large");
  EXPECT_EQ(room(), 67 * GiB);
  EXPECT_EQ(account_.budget().others_bytes(), 0);
  memory_.free_bytes -= 60 * GiB;
  EXPECT_EQ(account_.budget().others_bytes(), 60 * GiB);
  EXPECT_EQ(room(), 7 * GiB);

  const Result<Lease> refused = account_.budget().take(8 * GiB, "weights more");
  ASSERT_FALSE(refused);
  const std::string& words = refused.error().message();
  EXPECT_NE(words.find("7.00 GiB to give, other programs hold 60.00 GiB"), words.npos) << words;
  EXPECT_NE(words.find("Close other programs"), words.npos) << words;
  const Value& numbers = *refused.error().details();
  EXPECT_EQ(numbers.at("available_bytes").as_int(), 7 * GiB);
  EXPECT_EQ(numbers.at("others_bytes").as_int(), 60 * GiB);
  EXPECT_EQ(numbers.at("reserve_bytes").as_int(), 2 * GiB);
  EXPECT_EQ(numbers.at("budget_bytes").as_int(), 98 * GiB);
  EXPECT_EQ(numbers.at("holders").size(), 2u) << "who was refused holds nothing";

  const PoolReport report = report_on(account_.budget(), account_.total_bytes(), account_.reserve_bytes());
  EXPECT_EQ(report.free_bytes, 7 * GiB) << "not what the budget alone would allow";
  EXPECT_EQ(report.others_bytes, 60 * GiB);

  memory_.free_bytes += 60 * GiB;
  EXPECT_TRUE(account_.budget().take(8 * GiB, "weights more")) << "they ended";
}

TEST_F(Device, AModelTooLargeForTheCardIsNotBlamedOnOthers) {
  memory_.free_bytes -= GiB / 2;
  DeviceAccount small("cuda:0", 20 * GiB, [this] { return memory_; });
  const Result<Lease> refused = small.budget().take(21 * GiB, "weights huge");
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().message().find("raise memory.budget"), std::string::npos) << refused.error().message();
}

// A driver takes memory first and is asked afterwards how much: there need not be room for it twice.
TEST_F(Device, WhatIsThereAlreadyNeedsNoRoom) {
  memory_.free_bytes = 2 * GiB;
  EXPECT_FALSE(account_.budget().take(GiB, "weights"));
  EXPECT_TRUE(account_.budget().take(GiB, "driver", /*is_there=*/true));
}

TEST_F(Device, WhatIsPromisedIsKeptUntilItIsTaken) {
  const Lease promised = *account_.budget().take(40 * GiB, "reserved for trainer");
  int64_t seen = 0;
  account_.set_promised([&] { return Promise{40 * GiB, seen}; });
  EXPECT_EQ(room(), 58 * GiB);
  memory_.free_bytes -= 25 * GiB;
  EXPECT_EQ(room(), 58 * GiB) << "nobody has said yet who took it";
  EXPECT_EQ(account_.budget().others_bytes(), 0);
  seen = 25 * GiB;
  EXPECT_EQ(room(), 58 * GiB);
  memory_.free_bytes -= 20 * GiB;
  seen = 40 * GiB;
  EXPECT_EQ(room(), 53 * GiB) << "5 GiB more than it reserved";
  EXPECT_EQ(account_.budget().others_bytes(), 5 * GiB);
  memory_.free_bytes += 45 * GiB;
  seen = 0;
  EXPECT_EQ(room(), 58 * GiB) << "it may take them again";
  account_.set_promised({});
}

TEST_F(Device, WhatOthersHeldBeforeAPromiseIsNotTakenOfIt) {
  memory_.free_bytes -= 30 * GiB;
  const Lease promised = *account_.budget().take(40 * GiB, "reserved for trainer");
  account_.set_promised([] { return Promise{40 * GiB, 0}; });
  EXPECT_EQ(room(), 28 * GiB);
  EXPECT_EQ(account_.budget().others_bytes(), 30 * GiB);
  account_.set_promised({});
}

// Leases, promises and looks from many threads: nobody gets what another holds.
TEST(DeviceFromManyThreads, IsNeverOverdrawn) {
  std::atomic<int64_t> taken{0}, most{0};
  DeviceAccount account("cuda:0", 0, [&] { return DeviceAccount::Memory{100 * GiB, 100 * GiB - taken}; });
  const auto work = [&](int64_t bytes) {
    for (int i = 0; i < 200; ++i) {
      const Result<Lease> lease = account.budget().take(bytes, "weights");
      if (!lease) continue;
      const int64_t now = taken += bytes;
      for (int64_t seen = most; now > seen && !most.compare_exchange_weak(seen, now);) {
      }
      EXPECT_GE(account.budget().others_bytes(), 0);
      taken -= bytes;
    }
  };
  std::vector<std::thread> threads;
  for (const int64_t bytes : {20 * GiB, 30 * GiB, 50 * GiB, 60 * GiB}) threads.emplace_back(work, bytes);
  for (int i = 0; i < 200; ++i) {
    account.set_promised([] { return Promise{}; });
    account.set_promised({});
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(most, 0);
  EXPECT_LE(most, 98 * GiB);
  EXPECT_EQ(account.budget().leased_bytes(), 0);
}

TEST_F(Device, ALostDeviceIsNoWantOfMemory) {
  is_lost_ = true;
  try {
    (void)account_.budget().take(GiB, "weights");
    FAIL() << "a device that does not answer gives nothing";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kDevice);
  }
  EXPECT_EQ(account_.budget().others_bytes(), 0) << "whoever only looks goes on";
  EXPECT_EQ(report_on(account_.budget(), 0, 0).free_bytes, 0);
  EXPECT_EQ(account_.budget().leased_bytes(), 0);
  EXPECT_TRUE(account_.budget().holdings().empty());
}

}  // namespace
}  // namespace hearth::governor
