// The CUDA device: what it says without a GPU, accounting of memory, copies, and captures that fail cleanly.
#include "core/device/cuda.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "core/base/units.h"

namespace hearth {
namespace {

Code code_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  return Code::kInternal;
}

class Cuda : public testing::Test {
 protected:
  void SetUp() override {
    if (cuda::device_count() == 0) GTEST_SKIP() << cuda::why_none();
    driver_bytes_ = cuda::initialise(0);
    stream_ = cuda::create_stream(0);
  }
  void TearDown() override {
    if (stream_) cuda::destroy_stream(0, stream_);
  }

  int64_t driver_bytes_ = 0;
  cuda::Stream stream_ = nullptr;
};

TEST(CudaWithoutGpu, SaysWhyAndRefuses) {
  if (cuda::device_count() > 0) {
    EXPECT_EQ(cuda::why_none(), "");
    EXPECT_FALSE(cuda::caps(0).name.empty());
    return;
  }
  EXPECT_GT(cuda::why_none().size(), 10u);
  EXPECT_EQ(code_of([] { cuda::memory_info(0); }), Code::kDevice);
  EXPECT_EQ(code_of([] { cuda::initialise(0); }), Code::kDevice);
  EXPECT_EQ(code_of([] { auto bytes = cuda::allocate(0, 4096); }), Code::kDevice);
  EXPECT_FALSE(cuda::can_grow(0));
  EXPECT_EQ(code_of([] { auto memory = cuda::reserve(0, 4096); }), Code::kDevice);
  EXPECT_FALSE(cuda::is_lost(0));
}

TEST_F(Cuda, CapsDescribeTheDevice) {
  Caps caps = cuda::caps(0);
  EXPECT_EQ(caps.target, DeviceKind::kCuda);
  EXPECT_GE(caps.sm, 90);
  EXPECT_GT(caps.multiprocessors, 0);
  EXPECT_GE(caps.shared_bytes, 99 * KiB);
}

TEST_F(Cuda, AllocationsShowInMemoryInfoAndComeBack) {
  constexpr int64_t kBytes = 512 * MiB;
  int64_t before = cuda::memory_info(0).free_bytes;
  std::byte* data = *cuda::allocate(0, kBytes);
  int64_t taken = before - cuda::memory_info(0).free_bytes;
  EXPECT_GE(taken, kBytes);
  EXPECT_LE(taken, kBytes + 4 * MiB);
  cuda::release(0, data);
  EXPECT_EQ(cuda::memory_info(0).free_bytes, before);
}

TEST_F(Cuda, RefusesWhatIsNotThereAndStaysUsable) {
  Result<std::byte*> huge = cuda::allocate(0, int64_t{1} << 50);
  ASSERT_FALSE(huge);
  EXPECT_EQ(huge.error().code(), Code::kNoMemory);
  EXPECT_NE(huge.error().message().find("are free"), std::string::npos) << huge.error().message();
  std::byte* data = *cuda::allocate(0, 4096);
  cuda::fill(stream_, data, 7, 4096);
  EXPECT_NO_THROW(cuda::synchronize(0, stream_));
  cuda::release(0, data);
  EXPECT_FALSE(cuda::is_lost(0));
}

TEST_F(Cuda, MemoryGrowsBehindItsAddressesAndComesBack) {
  if (!cuda::can_grow(0)) GTEST_SKIP() << "this driver gives memory in one piece";
  constexpr int64_t kBytes = 3 * GiB + 6 * MiB, kAcross = 2 * MiB;
  const int64_t before = cuda::memory_info(0).free_bytes;
  if (before < 2 * kBytes) GTEST_SKIP() << "too little free memory";
  std::byte *from = *cuda::allocate_pinned(kAcross), *to = *cuda::allocate_pinned(kAcross);
  std::mt19937 random(2);
  for (int64_t i = 0; i < kAcross; ++i) from[i] = static_cast<std::byte>(random());
  {
    std::unique_ptr<GrowingMemory> memory = *cuda::reserve(0, kBytes);
    EXPECT_NEAR(static_cast<double>(before - cuda::memory_info(0).free_bytes), 0.0, 8.0 * MiB) << "addresses alone";
    for (int64_t grown = 0; grown < kBytes; grown += GiB) {
      ASSERT_TRUE(memory->grow(std::min<int64_t>(GiB, kBytes - grown)));
      const auto taken = static_cast<double>(before - cuda::memory_info(0).free_bytes);
      EXPECT_NEAR(taken, static_cast<double>(std::min<int64_t>(grown + GiB, kBytes)), 16.0 * MiB);
    }
    EXPECT_THROW((void)memory->grow(MiB), Error) << "beyond its addresses";
    // Over each place where one part ends and the next begins, and at the very end.
    for (int64_t middle : {1 * GiB, 2 * GiB, 3 * GiB, kBytes - kAcross / 2}) {
      std::byte* place = memory->data() + middle - kAcross / 2;
      cuda::copy_to_device(stream_, place, from, kAcross);
      cuda::copy_on_device(stream_, memory->data() + 1, place, kAcross);
      cuda::fill(stream_, place, 0, kAcross);
      cuda::copy_on_device(stream_, place, memory->data() + 1, kAcross);
      std::memset(to, 0, kAcross);
      cuda::copy_to_host(stream_, to, place, kAcross);
      cuda::synchronize(0, stream_);
      EXPECT_EQ(std::memcmp(from, to, kAcross), 0) << "around " << middle;
    }
    cuda::fill(stream_, memory->data(), 1, kBytes);  // still running when the memory goes
  }
  EXPECT_NO_THROW(cuda::synchronize(0, stream_));
  cuda::release_pinned(from), cuda::release_pinned(to);
  EXPECT_NEAR(static_cast<double>(cuda::memory_info(0).free_bytes), static_cast<double>(before), 8.0 * MiB);
  EXPECT_FALSE(cuda::is_lost(0));
}

TEST_F(Cuda, GrowthThatTheDriverRefusesLeavesWhatIsThere) {
  if (!cuda::can_grow(0)) GTEST_SKIP() << "this driver gives memory in one piece";
  if (cuda::is_integrated(0)) GTEST_SKIP() << "asking for all of it would take the host's memory too";
  const cuda::MemoryInfo info = cuda::memory_info(0);
  std::unique_ptr<GrowingMemory> memory = *cuda::reserve(0, 2 * info.total_bytes);
  ASSERT_TRUE(memory->grow(64 * MiB));
  const Result<void> refused = memory->grow(info.total_bytes);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::kNoMemory);
  EXPECT_NE(refused.error().message().find("more after 64.0 MiB of"), std::string::npos) << refused.error().message();
  ASSERT_TRUE(memory->grow(64 * MiB)) << "a smaller part is still to be had";
  cuda::fill(stream_, memory->data(), 9, 128 * MiB);
  EXPECT_NO_THROW(cuda::synchronize(0, stream_));
  memory.reset();
  EXPECT_NEAR(static_cast<double>(cuda::memory_info(0).free_bytes), static_cast<double>(info.free_bytes), 8.0 * MiB);
}

TEST_F(Cuda, TheContextsCostIsMeasuredOnce) {
  std::printf("  the context took %.1f MiB\n", static_cast<double>(driver_bytes_) / MiB);
  EXPECT_LT(driver_bytes_, 4 * GiB);
  if (!cuda::caps(0).is_integrated) {
    EXPECT_GT(driver_bytes_, 16 * MiB);
  }
  int64_t before = cuda::memory_info(0).free_bytes;
  EXPECT_EQ(cuda::initialise(0), driver_bytes_);
  EXPECT_EQ(cuda::memory_info(0).free_bytes, before);
}

TEST_F(Cuda, AnUnknownDeviceIsNamed) {
  EXPECT_EQ(code_of([] { cuda::initialise(cuda::device_count()); }), Code::kDevice);
  EXPECT_EQ(code_of([] { cuda::create_stream(-1); }), Code::kDevice);
}

TEST_F(Cuda, CopiesThroughPinnedMemory) {
  constexpr int64_t kBytes = 3 * MiB + 5;
  std::byte *from = *cuda::allocate_pinned(kBytes), *to = *cuda::allocate_pinned(kBytes);
  std::byte *a = *cuda::allocate(0, kBytes), *b = *cuda::allocate(0, kBytes);
  std::mt19937 random(1);
  for (int64_t i = 0; i < kBytes; ++i) from[i] = static_cast<std::byte>(random());
  cuda::copy_to_device(stream_, a, from, kBytes);
  cuda::copy_on_device(stream_, b, a, kBytes);
  cuda::fill(stream_, b, 0x5a, 1);
  cuda::copy_to_host(stream_, to, b, kBytes);
  cuda::synchronize(0, stream_);
  EXPECT_EQ(to[0], std::byte{0x5a});
  EXPECT_EQ(std::memcmp(to + 1, from + 1, kBytes - 1), 0);
  cuda::release(0, a), cuda::release(0, b);
  cuda::release_pinned(from), cuda::release_pinned(to);
}

class CudaCapture : public Cuda {
 protected:
  void SetUp() override {
    Cuda::SetUp();
    if (!IsSkipped()) data_ = *cuda::allocate(0, 2 * kBytes), host_ = *cuda::allocate_pinned(kBytes);
  }
  void TearDown() override {
    if (data_) cuda::release(0, data_), cuda::release_pinned(host_);
    Cuda::TearDown();
  }
  // Whether the stream works: a byte goes to the device and back.
  bool stream_works(uint8_t byte) {
    cuda::fill(stream_, data_, byte, kBytes);
    cuda::copy_to_host(stream_, host_, data_, kBytes);
    cuda::synchronize(0, stream_);
    return host_[kBytes - 1] == std::byte{byte};
  }

  static constexpr int64_t kBytes = 4096;
  std::byte *data_ = nullptr, *host_ = nullptr;
};

TEST_F(CudaCapture, ReplaysWhatWasCaptured) {
  cuda::Graph::begin_capture(stream_);
  cuda::copy_on_device(stream_, data_ + kBytes, data_, kBytes);
  cuda::Graph captured = cuda::Graph::end_capture(stream_), graph;
  graph = std::move(captured);
  EXPECT_FALSE(captured);  // NOLINT: a moved-from graph is empty
  ASSERT_TRUE(graph);
  for (uint8_t byte : {3, 4}) {
    cuda::fill(stream_, data_, byte, kBytes);
    graph.launch(stream_);
    cuda::copy_to_host(stream_, host_, data_ + kBytes, kBytes);
    cuda::synchronize(0, stream_);
    EXPECT_EQ(host_[17], std::byte{byte});
  }
}

TEST_F(CudaCapture, AnAllocationInACaptureFailsIt) {
  cuda::Graph::begin_capture(stream_);
  EXPECT_EQ(code_of([] { auto data = cuda::allocate(0, 4096); }), Code::kDevice);
  EXPECT_EQ(code_of([&] { cuda::Graph::end_capture(stream_); }), Code::kDevice);
  EXPECT_TRUE(stream_works(9));
}

TEST_F(CudaCapture, WaitingInACaptureFailsItAndAbandoningRecovers) {
  cuda::Graph::begin_capture(stream_);
  EXPECT_EQ(code_of([&] { cuda::synchronize(0, stream_); }), Code::kDevice);
  cuda::Graph::abandon_capture(stream_);
  EXPECT_TRUE(stream_works(11));
  cuda::Graph::begin_capture(stream_);
  cuda::fill(stream_, data_, 1, kBytes);
  cuda::Graph::abandon_capture(stream_);
  EXPECT_TRUE(stream_works(12));
  EXPECT_FALSE(cuda::is_lost(0));
}

TEST_F(CudaCapture, AnotherThreadsAllocationsDoNotDisturbIt) {
  cuda::Graph::begin_capture(stream_);
  cuda::fill(stream_, data_, 21, kBytes);
  std::thread([] {
    std::byte* data = *cuda::allocate(0, MiB);
    cuda::Stream own = cuda::create_stream(0);
    cuda::fill(own, data, 0, MiB);
    cuda::synchronize(0, own);
    cuda::destroy_stream(0, own);
    cuda::release(0, data);
  }).join();
  cuda::Graph graph = cuda::Graph::end_capture(stream_);
  graph.launch(stream_);
  cuda::copy_to_host(stream_, host_, data_, kBytes);
  cuda::synchronize(0, stream_);
  EXPECT_EQ(host_[0], std::byte{21});
}

}  // namespace
}  // namespace hearth
