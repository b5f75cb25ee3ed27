// The whole file is read, whatever its size; what cannot be measured says so.
#include "formats/direct/disk_speed.h"

#include <gtest/gtest.h>

#include <fstream>

#include "core/testing/temp_folder.h"

namespace hearth {
namespace {

TEST(DiskSpeed, ReadsTheWholeFile) {
  testing::TempFolder folder;
  for (int64_t size : {int64_t{1}, int64_t{4096}, int64_t{1'000'001}}) {
    std::ofstream(folder.path("file"), std::ios::binary) << std::string(static_cast<size_t>(size), 'x');
    const DiskSpeed direct = measure_disk(folder.path("file"), {.block_bytes = 64 << 10, .depth = 3});
    EXPECT_EQ(direct.bytes, size);
    EXPECT_GT(direct.rate(), 0);
    const DiskSpeed cached = measure_disk(folder.path("file"), {.block_bytes = 64 << 10, .is_direct = false}, 5);
    EXPECT_EQ(cached.bytes, size);
    EXPECT_FALSE(cached.is_direct);
    EXPECT_EQ(measure_buffered_disk(folder.path("file"), 4096).bytes, size);
  }
}

TEST(DiskSpeed, NamesWhatItCannotRead) {
  testing::TempFolder folder;
  std::ofstream(folder.path("empty")).flush();
  for (const std::string& path : {folder.path("empty"), folder.path("missing"), std::string("/tmp")}) {
    for (bool is_direct : {true, false}) {
      try {
        is_direct ? measure_disk(path) : measure_buffered_disk(path);
        FAIL() << path;
      } catch (const Error& e) {
        EXPECT_NE(e.message().find(path), std::string::npos) << e.message();
      }
    }
  }
}

}  // namespace
}  // namespace hearth
