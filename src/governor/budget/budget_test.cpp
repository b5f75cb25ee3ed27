// Budget: no overdraft, refusals with numbers, leases return; the host's limit follows total, cgroup and reserve.
#include "governor/budget/budget.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <latch>
#include <thread>

#include "core/base/units.h"
#include "governor/pressure/floors.h"

namespace hearth::governor {
namespace {

TEST(Budget, RefusesWithNumbersAndHolders) {
  Budget budget("host", 10 * MiB);
  Lease weights = *budget.take(8 * MiB, "weights tiny");
  Result<Lease> more = budget.take(3 * MiB, "kv tiny");
  ASSERT_FALSE(more);
  EXPECT_EQ(more.error().code(), Code::kNoMemory);
  EXPECT_EQ(more.error().message(),
            "kv tiny needs 3.0 MiB in pool 'host': 2.0 MiB of 10.0 MiB free; held by weights tiny 8.0 MiB. Unload a "
            "model, use a smaller context, or raise memory.budget");
  weights = Lease();
  EXPECT_TRUE(budget.take(10 * MiB, "kv tiny"));
}

TEST(Budget, AllocatorGivesTheLeaseBackWithTheBytes) {
  Budget budget("host", MiB);
  LeasedAllocator memory(budget, {DeviceKind::kCpu});
  {
    StorageRef a = *memory.allocate(1000, "a");
    EXPECT_EQ(budget.leased_bytes(), 1000);
    EXPECT_FALSE(memory.allocate(MiB, "b"));
  }
  EXPECT_EQ(budget.leased_bytes(), 0);
  EXPECT_TRUE(budget.holdings().empty());
}

TEST(Budget, NeverOverdrawnFromManyThreads) {
  Budget budget("host", 1000);
  std::atomic<int> overdrawn{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        Result<Lease> lease = budget.take(300, "t");
        if (budget.leased_bytes() > 1000) ++overdrawn;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(overdrawn, 0);
  EXPECT_EQ(budget.leased_bytes(), 0);
}

TEST(Budget, ALeaseGrowsAndShrinksFromManyThreads) {
  Budget budget("host", 1000);
  Lease lease = *budget.take(100, "state");
  std::latch both{2};
  auto come_and_go = [&] {
    both.arrive_and_wait();
    for (int i = 0; i < 20'000; ++i) {
      if (lease.grow(300)) lease.shrink(300);
    }
  };
  std::thread first(come_and_go), second(come_and_go);
  first.join();
  second.join();
  EXPECT_EQ(lease.bytes(), 100);
  EXPECT_EQ(budget.leased_bytes(), 100);
}

TEST(Budget, ARefusalIsAlsoNumbersForPrograms) {
  Budget budget("host", 10 * MiB);
  budget.set_reserve_bytes(3 * MiB);
  budget.set_idle([] { return std::vector<Holding>{{"tiny", 4 * MiB}}; });
  const Lease weights = *budget.take(8 * MiB, "weights tiny");
  const Error refused = budget.take(5 * MiB, "weights large").error();
  EXPECT_NE(refused.message().find("could leave: tiny 4.0 MiB"), std::string::npos) << refused.message();
  ASSERT_TRUE(refused.details());
  const Value& numbers = *refused.details();
  EXPECT_EQ(numbers.at("needed_bytes").as_int(), 5 * MiB);
  EXPECT_EQ(numbers.at("available_bytes").as_int(), 2 * MiB);
  EXPECT_EQ(numbers.at("budget_bytes").as_int(), 10 * MiB);
  EXPECT_EQ(numbers.at("reserve_bytes").as_int(), 3 * MiB);
  EXPECT_EQ(numbers.at("holders").as_list()[0].at("holder").as_string(), "weights tiny");
  EXPECT_EQ(numbers.at("could_leave").as_list()[0].at("bytes").as_int(), 4 * MiB);

  const Error advised = with_choices(refused, {{Value::object({{"context", 2048}}), "a context of 2048"}});
  EXPECT_TRUE(advised.message().ends_with("What would fit: a context of 2048")) << advised.message();
  EXPECT_EQ(advised.details()->at("would_fit").as_list()[0].at("context").as_int(), 2048);
  EXPECT_EQ(advised.within("loading large").details(), advised.details());
}

TEST(Budget, ALimitIsReadAgainAtEachTake) {
  int64_t limit = 10 * MiB;
  Budget budget("host", [&] { return limit; });
  const Lease first = *budget.take(6 * MiB, "a");
  limit = 8 * MiB;
  EXPECT_FALSE(budget.take(3 * MiB, "b"));
  limit = 4 * MiB;
  EXPECT_EQ(budget.free_bytes(), 0);
  limit = 20 * MiB;
  EXPECT_TRUE(budget.take(3 * MiB, "b"));
  EXPECT_EQ(budget.peak_bytes(), 9 * MiB);
}

// Emulators of another processor say yes to MADV_POPULATE_WRITE and take no pages.
bool takes_pages() {
  void* probe = ::mmap(nullptr, MiB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  std::vector<unsigned char> is_resident(MiB / 4096);
  const bool says_yes = ::madvise(probe, MiB, MADV_POPULATE_WRITE) == 0;
  const bool has_pages = ::mincore(probe, MiB, is_resident.data()) == 0 && (is_resident[100] & 1) != 0;
  ::munmap(probe, MiB);
  return !says_yes || has_pages;
}

TEST(LeasedAllocator, MemoryIsResidentWhenItIsHandedOut) {
  if (!takes_pages()) GTEST_SKIP() << "this system takes pages only when they are written to";
  Budget budget("host", GiB);
  LeasedAllocator memory(budget, {DeviceKind::kCpu});
  const int64_t before = machine::read_process_memory().anonymous_bytes;
  const StorageRef held = *memory.allocate(96 * MiB, "weights");
  const int64_t grown = machine::read_process_memory().anonymous_bytes - before;
  EXPECT_NEAR(static_cast<double>(grown), static_cast<double>(budget.leased_bytes()), 8.0 * MiB);
}

TEST(LeasedAllocator, GrowthIsGivenUpInTheMiddleOfIt) {
  Budget budget("host", GiB);
  LeasedAllocator memory(budget, {DeviceKind::kCpu});
  memory.cancel_growth();
  EXPECT_TRUE(memory.allocate(MiB, "an image"));
  EXPECT_EQ(memory.allocate(200 * MiB, "weights large").error().code(), Code::kCancelled);
  EXPECT_EQ(budget.leased_bytes(), 0);
}

TEST(LeasedAllocator, LooksBetweenStepsAndGivesEverythingBackWhenRefused) {
  Budget budget("host", GiB);
  std::vector<int64_t> asked;
  const LeasedAllocator::Look look = [&](int64_t bytes) -> Result<void> {
    asked.push_back(bytes);
    if (asked.size() == 3) return unexpected(Code::kNoMemory, "the host has 1.0 GiB left");
    return {};
  };
  LeasedAllocator memory(budget, {DeviceKind::kCpu}, look, 32 * MiB);
  const int64_t before = machine::read_process_memory().anonymous_bytes;
  const Result<StorageRef> refused = memory.allocate(128 * MiB, "weights large");
  ASSERT_FALSE(refused);
  EXPECT_EQ(asked, (std::vector<int64_t>{128 * MiB, 32 * MiB, 32 * MiB}));
  EXPECT_EQ(budget.untouched_bytes(), 0);
  EXPECT_EQ(refused.error().code(), Code::kNoMemory);
  EXPECT_NE(refused.error().message().find("the host has 1.0 GiB left"), std::string::npos);
  EXPECT_EQ(refused.error().details()->at("reason").as_string(), "the host has 1.0 GiB left");
  EXPECT_EQ(budget.leased_bytes(), 0);
  EXPECT_LT(machine::read_process_memory().anonymous_bytes - before, 16 * MiB);
}

TEST(LeasedAllocator, ARefusalOfTheMachineSaysWhatTheMachineWouldGive) {
  Budget budget("host", GiB);
  const Reading reading{.room_bytes = 300 * MiB, .free_bytes = 300 * MiB};
  LeasedAllocator memory(budget, {DeviceKind::kCpu}, [&](int64_t bytes) {
    return may_grow(bytes, reading, {.soft_bytes = 200 * MiB}, false);
  });
  const Result<StorageRef> refused = memory.allocate(128 * MiB, "weights large");
  ASSERT_FALSE(refused);
  const Value& numbers = *refused.error().details();
  EXPECT_EQ(numbers.at("available_bytes").as_int(), 100 * MiB) << "not what the account has left";
  EXPECT_EQ(numbers.at("machine_bytes").as_int(), 100 * MiB);
  EXPECT_EQ(numbers.at("budget_bytes").as_int(), GiB);
  EXPECT_EQ(numbers.at("leased_bytes").as_int(), 0) << "what is refused is not held";

  EXPECT_TRUE(memory.may_allocate(100 * MiB, "model large"));
  const Result<void> whole = memory.may_allocate(101 * MiB, "model large");
  ASSERT_FALSE(whole);
  EXPECT_EQ(whole.error().details()->at("wanted_by").as_string(), "model large");
  EXPECT_EQ(memory.may_allocate(2 * GiB, "model huge").error().details()->find("machine_bytes"), nullptr);
  EXPECT_EQ(budget.leased_bytes(), 0);
}

TEST(LeasedAllocator, UntouchedMemoryIsLeasedAtOnceAndResidentAsItIsFilled) {
  if (!takes_pages()) GTEST_SKIP() << "this system takes pages only when they are written to";
  Budget budget("host", GiB);
  std::vector<int64_t> asked;
  const LeasedAllocator::Look look = [&](int64_t bytes) -> Result<void> {
    asked.push_back(bytes);
    if (asked.size() == 4) return unexpected(Code::kNoMemory, "the host has 1.0 GiB left");
    return {};
  };
  LeasedAllocator memory(budget, {DeviceKind::kCpu}, look, 32 * MiB);
  const int64_t before = machine::read_process_memory().anonymous_bytes;
  const auto grown = [&] { return machine::read_process_memory().anonymous_bytes - before; };
  StorageRef held = *memory.allocate_untouched(128 * MiB, "weights large");
  EXPECT_EQ(budget.leased_bytes(), 128 * MiB);
  EXPECT_LT(grown(), 8 * MiB);
  EXPECT_EQ(budget.untouched_bytes(), 128 * MiB);

  std::fill_n(held->data() + 16 * MiB, 100, std::byte{7});
  held->take_pages(16 * MiB, 24 * MiB);
  EXPECT_EQ(held->data()[16 * MiB + 99], std::byte{7}) << "what is there stays";
  EXPECT_NEAR(static_cast<double>(grown()), 24.0 * MiB, 8.0 * MiB);
  held->take_pages(40 * MiB + 100, 24 * MiB);
  held->take_pages(64 * MiB + 100, 20 * MiB);
  EXPECT_EQ(asked, (std::vector<int64_t>{128 * MiB, 32 * MiB, 32 * MiB}));
  EXPECT_EQ(budget.untouched_bytes(), 32 * MiB) << "what the machine still calls available, beside the steps begun";
  EXPECT_THROW(held->take_pages(90 * MiB, 32 * MiB), Error);
  EXPECT_EQ(budget.leased_bytes(), 128 * MiB) << "whoever fills it gives it back";
  held = {};
  EXPECT_EQ(budget.leased_bytes(), 0);
  EXPECT_EQ(budget.untouched_bytes(), 0);
  EXPECT_LT(grown(), 8 * MiB);
}

// From here on a kernel older than 5.14 for this thread; false where that cannot be had.
bool forget_populate() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, MADV_POPULATE_WRITE, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{.len = std::size(filter), .filter = filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// A load reads through memory whose pages are taken meanwhile.
// The thread sanitizer's own memory grows with what is touched: resident memory says nothing there.
#if defined(__SANITIZE_THREAD__)
constexpr bool kMemoryIsOurs = false;
#else
constexpr bool kMemoryIsOurs = true;
#endif

TEST(LeasedAllocator, WhatIsThereStaysOnAnOldKernelToo) {
  if (!kMemoryIsOurs) GTEST_SKIP() << "a sanitizer takes memory of its own";
  constexpr int64_t kBytes = 32 * MiB;
  Budget budget("host", GiB);
  LeasedAllocator memory(budget, {DeviceKind::kCpu});
  StorageRef held = *memory.allocate_untouched(kBytes, "arena");
  std::fill_n(held->data(), kBytes / 2, std::byte{7});
  const int64_t before = machine::read_process_memory().anonymous_bytes;
  bool is_old = false;
  std::thread([&] {
    is_old = forget_populate();
    held->take_pages(0, kBytes);
  }).join();
  if (!is_old) GTEST_SKIP() << "no system call can be forbidden here";
  EXPECT_EQ(std::count(held->data(), held->data() + kBytes, std::byte{7}), kBytes / 2);
  EXPECT_NEAR(static_cast<double>(machine::read_process_memory().anonymous_bytes - before), kBytes / 2.0, 4.0 * MiB);
}

TEST(LeasedAllocator, PartsGoBackToTheMachineAndAreTakenAgain) {
  if (!kMemoryIsOurs) GTEST_SKIP() << "a sanitizer takes memory of its own";
  if (!takes_pages()) GTEST_SKIP() << "this system takes pages only when they are written to";
  Budget budget("host", 100 * MiB);
  LeasedAllocator memory(budget, {DeviceKind::kCpu});
  const int64_t before = machine::read_process_memory().anonymous_bytes;
  const auto grown = [&] { return static_cast<double>(machine::read_process_memory().anonymous_bytes - before); };
  const StorageRef held = *memory.allocate(96 * MiB, "state tiny");
  std::fill_n(held->data(), held->bytes(), std::byte{7});
  const ByteRange parts[] = {{8 * MiB, 32 * MiB}, {64 * MiB, 16 * MiB + 4096}};
  memory.give_back(*held.get(), parts);
  EXPECT_EQ(budget.leased_bytes(), 48 * MiB - 4096);
  EXPECT_NEAR(grown(), 48.0 * MiB, 4.0 * MiB);
  EXPECT_EQ(held->data()[8 * MiB - 1], std::byte{7});
  EXPECT_EQ(held->data()[40 * MiB], std::byte{7});

  Lease other = *budget.take(50 * MiB, "weights other");
  const Result<void> refused = memory.take_again(*held.get(), parts);
  ASSERT_FALSE(refused);
  EXPECT_TRUE(refused.error().message().starts_with("state tiny needs 48.0 MiB")) << refused.error().message();
  EXPECT_EQ(budget.leased_bytes(), 98 * MiB - 4096);
  EXPECT_NEAR(grown(), 48.0 * MiB, 4.0 * MiB) << "a refusal takes nothing";

  other = Lease();
  ASSERT_TRUE(memory.take_again(*held.get(), parts));
  EXPECT_EQ(budget.leased_bytes(), 96 * MiB);
  EXPECT_EQ(budget.untouched_bytes(), 0);
  EXPECT_NEAR(grown(), 96.0 * MiB, 4.0 * MiB) << "it is there before anybody writes to it";
  EXPECT_EQ(held->data()[20 * MiB], std::byte{0});
}

TEST(LeasedAllocator, WhatIsTakenAgainIsLookedAtInSteps) {
  Budget budget("host", GiB);
  int looks = 0, refuse_at = 0;
  const LeasedAllocator::Look look = [&](int64_t) -> Result<void> {
    if (++looks == refuse_at) return unexpected(Code::kNoMemory, "the host has 1.0 GiB left");
    return {};
  };
  LeasedAllocator memory(budget, {DeviceKind::kCpu}, look, 16 * MiB);
  const StorageRef held = *memory.allocate(64 * MiB, "state tiny");
  const ByteRange all[] = {{0, 40 * MiB}, {40 * MiB, 24 * MiB}};
  memory.give_back(*held.get(), all);
  for (int at : {1, 3}) {
    looks = 0;
    refuse_at = at;
    const Result<void> refused = memory.take_again(*held.get(), all);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().details()->at("reason").as_string(), "the host has 1.0 GiB left");
    EXPECT_EQ(budget.leased_bytes(), 0);
    EXPECT_EQ(budget.untouched_bytes(), 0);
  }
  looks = refuse_at = 0;
  EXPECT_TRUE(memory.take_again(*held.get(), all));
  EXPECT_EQ(looks, 4) << "one for all, one more before each of the next three steps";
  EXPECT_EQ(budget.leased_bytes(), 64 * MiB);
}

TEST(HostBudget, IsTheSmallestOfItsLimits) {
  machine::HostMemory memory;
  memory.total_bytes = 128 * GiB;
  EXPECT_EQ(host_budget_bytes(memory, {}), 128 * GiB - 128 * GiB / 10);
  EXPECT_EQ(host_budget_bytes(memory, {.configured_bytes = 20 * GiB}), 20 * GiB);
  memory.cgroup_limit_bytes = 8 * GiB;
  EXPECT_EQ(host_budget_bytes(memory, {}), 7 * GiB);
  EXPECT_EQ(host_budget_bytes(memory, {.configured_bytes = 20 * GiB}), 7 * GiB);
  EXPECT_EQ(host_budget_bytes(memory, {.reserve_bytes = 3 * GiB}), 5 * GiB);
}

}  // namespace
}  // namespace hearth::governor
