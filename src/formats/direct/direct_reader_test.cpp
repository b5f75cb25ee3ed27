// Random extents of random files, through io_uring and without, direct and cached; files that end, fail or change while
// they are read; cancellation; a user that throws.
#include "formats/direct/direct_reader.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include "core/testing/temp_folder.h"
#include "formats/direct/mapped_file.h"

namespace hearth {
namespace {

struct Case {
  bool is_direct, uses_uring, is_mapped = false;
};

std::string random_file(const testing::TempFolder& folder, const std::string& name, int64_t bytes, uint32_t seed) {
  std::mt19937 random(seed);
  std::string data(static_cast<size_t>(bytes), '\0');
  for (char& c : data) c = static_cast<char>(random());
  std::ofstream(folder.path(name), std::ios::binary) << data;
  return data;
}

class DirectRead : public ::testing::TestWithParam<Case> {
 protected:
  ReadOptions options() const {
    return {.block_bytes = 64 << 10, .depth = depth_, .spare = spare_, .is_direct = GetParam().is_direct,
            .uses_uring = GetParam().uses_uring, .is_mapped = GetParam().is_mapped};
  }
  testing::TempFolder folder_;
  ThreadPool pool_{3};
  int depth_ = 8, spare_ = 3;
};

TEST_P(DirectRead, EveryExtentArrivesOnceAndWhole) {
  const std::vector<std::string> data = {random_file(folder_, "a", 3'000'001, 1), random_file(folder_, "b", 777, 2)};
  DirectReader reader({folder_.path("a"), folder_.path("b")}, options());
  std::mt19937 random(3);
  std::vector<Extent> extents = {{0, 0, 3'000'001}, {0, 3'000'000, 1}, {1, 0, 777}, {1, 776, 1}, {0, 4096, 4096}};
  for (int i = 0; i < 200; ++i) {
    const int file = static_cast<int>(random() % 2);
    const auto size = static_cast<int64_t>(data[file].size());
    const int64_t offset = random() % size;
    extents.push_back({file, offset, 1 + static_cast<int64_t>(random()) % std::min<int64_t>(size - offset, 300'000)});
  }
  std::vector<std::atomic<int>> times(extents.size());
  reader.read(extents, pool_, [&](int64_t i, std::span<const std::byte> bytes) {
    ++times[i];
    const Extent& e = extents[i];
    const bool is_same = static_cast<int64_t>(bytes.size()) == e.bytes &&
                         std::memcmp(bytes.data(), data[e.file].data() + e.offset, bytes.size()) == 0;
    if (!is_same) throw Error(Code::kInternal, "extent " + std::to_string(i) + " differs");
  });
  for (size_t i = 0; i < times.size(); ++i) EXPECT_EQ(times[i], 1) << i;
}

TEST_P(DirectRead, FewerBuffersThanThreadsWorkAndStopToo) {
  random_file(folder_, "a", 500'000, 1);
  depth_ = 1;
  spare_ = 0;
  DirectReader reader({folder_.path("a")}, options());
  std::vector<Extent> extents;
  for (int64_t i = 0; i < 50; ++i) extents.push_back({0, i * 10'000, 10'000});
  std::atomic<int> used{0};
  reader.read(extents, pool_, [&](int64_t, std::span<const std::byte>) { ++used; });
  EXPECT_EQ(used, 50);
  auto throwing = [](int64_t i, std::span<const std::byte>) {
    if (i == 20) throw Error(Code::kCorruptFile, "twenty");
  };
  EXPECT_THROW(reader.read(extents, pool_, throwing), Error);
}

TEST_P(DirectRead, LongExtentsTakeTurns) {
  const std::string data = random_file(folder_, "a", 6'000'000, 5);
  DirectReader reader({folder_.path("a")}, options());  // a ring of 0.6 MB
  EXPECT_EQ(reader.state(0).bytes, 6'000'000);
  std::vector<Extent> extents;
  for (int64_t i = 0; i < 10; ++i) {
    extents.push_back({0, i * 500'000 + 3, 900'000});
    extents.push_back({0, i * 500'000 + 7, 1000});
  }
  std::atomic<int> same{0};
  reader.read(extents, pool_, [&](int64_t i, std::span<const std::byte> bytes) {
    same += std::memcmp(bytes.data(), data.data() + extents[i].offset, bytes.size()) == 0;
  });
  EXPECT_EQ(same, 20);
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THROW(reader.read(extents, pool_, [](int64_t, std::span<const std::byte>) {}, stop.get_token()), Error);
}

TEST_P(DirectRead, AFileThatEndsFirstIsNamed) {
  random_file(folder_, "short", 100'000, 1);
  DirectReader reader({folder_.path("short")}, options());
  const std::vector<Extent> extents = {{0, 0, 50'000}, {0, 90'000, 20'000}};
  try {
    reader.read(extents, pool_, [](int64_t, std::span<const std::byte>) {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kCorruptFile);
    EXPECT_NE(e.message().find("ends at 100000, 10000 bytes are missing"), std::string::npos) << e.message();
  }
}

TEST_P(DirectRead, AFileThatChangesMeanwhileIsDetected) {
  random_file(folder_, "growing", 200'000, 1);
  DirectReader reader({folder_.path("growing")}, options());
  const std::vector<Extent> extents = {{0, 0, 100'000}, {0, 100'000, 100'000}};
  std::atomic<bool> has_written{false};
  auto change = [&](int64_t, std::span<const std::byte>) {
    if (!has_written.exchange(true)) std::ofstream(folder_.path("growing"), std::ios::app) << "more";
  };
  try {
    reader.read(extents, pool_, change);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kCorruptFile);
    EXPECT_NE(e.message().find("changed while it was read"), std::string::npos);
  }
}

TEST_P(DirectRead, CancelledAndThrowingUsersEndIt) {
  random_file(folder_, "a", 2'000'000, 1);
  std::vector<Extent> extents;
  for (int64_t i = 0; i < 200; ++i) extents.push_back({0, i * 10'000, 10'000});
  DirectReader reader({folder_.path("a")}, options());
  std::stop_source stop;
  std::atomic<int> used{0};
  auto stopping = [&](int64_t, std::span<const std::byte>) {
    if (++used == 5) stop.request_stop();
  };
  try {
    reader.read(extents, pool_, stopping, stop.get_token());
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kCancelled);
    EXPECT_LT(used, 20);
  }
  auto throwing = [](int64_t i, std::span<const std::byte>) {
    if (i == 7) throw Error(Code::kCorruptFile, "seven");
  };
  EXPECT_THROW(reader.read(extents, pool_, throwing), Error);
}

INSTANTIATE_TEST_SUITE_P(Ways, DirectRead,
                         ::testing::Values(Case{true, true}, Case{true, false}, Case{false, true}, Case{false, false},
                                           Case{false, false, true}),
                         [](const auto& info) {
                           if (info.param.is_mapped) return std::string("Mapped");
                           return std::string(info.param.is_direct ? "Direct" : "Cached") +
                                  (info.param.uses_uring ? "Uring" : "Threads");
                         });

// The pages behind the cut are touched: without care that is the end of the process.
TEST(DirectRead, AFileCutShortWhileItIsMappedIsDetected) {
  testing::TempFolder folder;
  random_file(folder, "cut", 4'000'000, 1);
  DirectReader reader({folder.path("cut")}, {.is_mapped = true});
  const std::vector<Extent> extents = {{0, 0, 100'000}, {0, 100'000, 3'900'000}};
  ThreadPool alone(1);
  int64_t sum = 0;
  auto cut = [&](int64_t i, std::span<const std::byte> bytes) {
    if (i == 0) std::filesystem::resize_file(folder.path("cut"), 200'000);
    for (std::byte b : bytes) sum += static_cast<int64_t>(b);
  };
  for (int time = 0; time < 2; ++time) {
    try {
      reader.read(extents, alone, cut);
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::kCorruptFile);
      EXPECT_NE(e.message().find(time == 0 ? "changed while it was read" : "changed"), std::string::npos)
          << e.message();
    }
    if (time == 0) random_file(folder, "cut", 4'000'000, 1);
  }
  EXPECT_GT(sum, 0);
}

TEST(DirectRead, TouchingAPageThatIsGoneStillEndsOthers) {
  testing::TempFolder folder;
  random_file(folder, "cut", 100'000, 1);
  const MappedFile handled(Descriptor(::open(folder.path("cut").c_str(), O_RDONLY)).get(), 100'000);
  // By the signal, or by what a sanitizer does about it.
  auto has_ended_badly = [](int status) { return !WIFEXITED(status) || WEXITSTATUS(status) != 0; };
  EXPECT_EXIT(std::raise(SIGBUS), has_ended_badly, "");
}

TEST(DirectRead, AMissingFileIsNamed) {
  try {
    DirectReader reader({"/no/such/file"});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kIo);
    EXPECT_NE(e.message().find("/no/such/file"), std::string::npos);
  }
}

}  // namespace
}  // namespace hearth
