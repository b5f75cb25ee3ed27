// The zip reader: what it unpacks, and that damaged, lying and hostile archives are refused with the reason.
#include "formats/zip/zip.h"

#include <gtest/gtest.h>

#include "formats/zip/zip_testing.h"

namespace hearth::zip {
namespace {

Result<Archive> open_made(const TestFolder& folder, const std::string& bytes, Limits limits = {}) {
  return Archive::open(folder.write("x.zip", bytes), limits);
}

void expect_refused(const std::string& bytes, Code code, std::string_view reason, Limits limits = {}) {
  TestFolder folder;
  auto archive = open_made(folder, bytes, limits);
  ASSERT_FALSE(archive.has_value()) << "accepted; expected: " << reason;
  EXPECT_EQ(archive.error().code(), code);
  EXPECT_NE(archive.error().message().find(reason), std::string::npos) << archive.error().message();
}

void expect_broken_entry(const std::string& bytes, std::string_view reason) {
  TestFolder folder;
  auto archive = open_made(folder, bytes);
  ASSERT_TRUE(archive.has_value()) << archive.error().message();
  auto text = archive->read_text(archive->entries().front(), GiB);
  ASSERT_FALSE(text.has_value()) << "unpacked; expected: " << reason;
  EXPECT_EQ(text.error().code(), Code::kCorruptFile);
  EXPECT_NE(text.error().message().find(reason), std::string::npos) << text.error().message();
}

std::string long_text() {
  std::string text;
  for (int i = 0; i < 200'000; ++i) text += static_cast<char>('a' + i % 251 * i % 23);
  return text + std::string(700'000, '\0');
}

TEST(Zip, UnpacksStoredAndDeflatedEntries) {
  for (bool is_zip64 : {false, true}) {
    TestFolder folder;
    std::string body = long_text();
    auto archive =
        open_made(folder, make_zip({{.name = "a/stored.txt", .body = "hello", .is_zip64 = is_zip64},
                                    {.name = "a/"},
                                    {.name = "b.bin", .body = body, .is_deflated = true, .is_zip64 = is_zip64},
                                    {.name = "empty"}}));
    ASSERT_TRUE(archive.has_value()) << archive.error().message();
    ASSERT_EQ(archive->entries().size(), 3u);  // the folder is left out
    EXPECT_EQ(archive->read_text(*archive->find("a/stored.txt"), 100).value(), "hello");
    EXPECT_EQ(archive->read_text(*archive->find("b.bin"), GiB).value(), body);
    EXPECT_EQ(archive->read_text(*archive->find("empty"), 0).value(), "");
    EXPECT_EQ(archive->find("none"), nullptr);
  }
}

TEST(Zip, RefusesWhatIsNoZip) {
  expect_refused("", Code::kCorruptFile, "not a zip archive");
  expect_refused("GGUF and more bytes than an end record has", Code::kCorruptFile, "not a zip archive");
}

TEST(Zip, RefusesATruncatedFileAtEveryLength) {
  std::string whole =
      make_zip({{.name = "a", .body = "some text", .is_deflated = true}, {.name = "b", .body = "more"}});
  TestFolder folder;
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(open_made(folder, whole.substr(0, size)).has_value()) << "accepted the first " << size << " bytes";
  }
}

TEST(Zip, AnyFlippedByteIsAnErrorOrHarmless) {
  std::string whole = make_zip({{.name = "a", .body = "some text some text some text", .is_deflated = true},
                                {.name = "b", .body = "more", .is_zip64 = true}});
  TestFolder folder;
  for (size_t at = 0; at < whole.size(); ++at) {
    for (unsigned char flip : {0x01, 0xff}) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ flip);
      auto archive = open_made(folder, damaged);
      if (!archive) continue;
      for (const Entry& entry : archive->entries()) {
        auto text = archive->read_text(entry, MiB);
        if (!text) continue;
        EXPECT_TRUE(*text == "some text some text some text" || *text == "more" || text->empty()) << "byte " << at;
      }
    }
  }
}

TEST(Zip, RefusesNamesThatLeaveTheFolder) {
  for (std::string name : {"../evil", "/etc/passwd", "a/../../evil", "a/./b", "a//b", "..", "C:/evil", "a\\..\\evil"}) {
    expect_refused(make_zip({{.name = name, .body = "x"}}), Code::kCorruptFile, "outside its folder");
  }
  expect_refused(make_zip({{.name = std::string("a\0b", 3), .body = "x"}}), Code::kCorruptFile, "outside its folder");
}

TEST(Zip, FindsABadChecksum) {
  expect_broken_entry(make_zip({{.name = "a", .body = "text", .crc_flip = 1}}), "entry 'a' is damaged: checksum");
  expect_broken_entry(make_zip({{.name = "a", .body = "text", .is_deflated = true, .crc_flip = 1}}),
                      "is damaged: checksum");
}

TEST(Zip, FindsWrongSizes) {
  expect_broken_entry(make_zip({{.name = "a", .body = "text", .is_deflated = true, .claimed_bytes = 5}}),
                      "holds 4 bytes, its directory says 5");
  expect_broken_entry(make_zip({{.name = "a", .body = "text", .is_deflated = true, .claimed_bytes = 3}}),
                      "more bytes come out");
  expect_refused(make_zip({{.name = "a", .body = "text", .claimed_bytes = 5}}), Code::kCorruptFile,
                 "which is impossible");
}

TEST(Zip, BoundsABomb) {
  std::string zeros(8 << 20, '\0');
  // The directory tells the truth about much: the limit on all of it holds.
  expect_refused(make_zip({{.name = "a", .body = zeros, .is_deflated = true}}), Code::kCorruptFile,
                 "unpacks to more than", {.max_total_bytes = 4 << 20});
  // The directory promises more than deflate can.
  expect_refused(make_zip({{.name = "a", .body = "x", .is_deflated = true, .claimed_bytes = 1 << 30}}),
                 Code::kCorruptFile, "which is impossible");
  // The directory hides how much comes out: reading ends at what it said, within one block.
  TestFolder folder;
  auto archive = open_made(folder, make_zip({{.name = "a", .body = zeros, .is_deflated = true, .claimed_bytes = 10}}));
  ASSERT_TRUE(archive.has_value());
  size_t seen = 0;
  auto done = archive->extract(archive->entries()[0],
                               [&](const char*, size_t size) -> Result<void> { return seen += size, Result<void>(); });
  EXPECT_FALSE(done.has_value());
  EXPECT_LE(seen, 10u);
  // Two entries that share the same packed bytes.
  expect_refused(make_zip({{.name = "a", .body = zeros, .is_deflated = true}, {.name = "a", .body = "x"}}),
                 Code::kCorruptFile, "occurs twice");
  expect_refused(make_zip({{.name = "a", .body = "text"}, {.name = "b", .body = "text", .header_offset = 0}}),
                 Code::kCorruptFile, "overlap");
}

TEST(Zip, BoundsTheDirectory) {
  expect_refused(make_zip({{.name = "a"}, {.name = "b"}, {.name = "c"}}), Code::kCorruptFile, "3 entries, at most 2",
                 {.max_entries = 2});
  expect_refused(make_zip({{.name = std::string(200, 'a')}}), Code::kCorruptFile, "a directory of",
                 {.max_directory_bytes = 100});
}

TEST(Zip, SaysWhatItDoesNotRead) {
  expect_refused(make_zip({{.name = "a", .body = "x", .flags = 1}}), Code::kUnsupported, "'a' is encrypted");
  expect_refused(make_zip({{.name = "a", .body = "x", .method = 12}}), Code::kUnsupported, "packed with method 12");
}

TEST(Zip, AnErrorOfTheReceiverEndsTheExtraction) {
  TestFolder folder;
  auto archive = open_made(folder, make_zip({{.name = "a", .body = "x"}}));
  auto done = archive->extract(archive->entries()[0],
                               [](const char*, size_t) -> Result<void> { return unexpected(Code::kIo, "disk full"); });
  ASSERT_FALSE(done.has_value());
  EXPECT_EQ(done.error().message(), "disk full");
}

TEST(Zip, ALargeEntryIsNoText) {
  TestFolder folder;
  auto archive = open_made(folder, make_zip({{.name = "a", .body = "12345"}}));
  EXPECT_FALSE(archive->read_text(archive->entries()[0], 4).has_value());
}

}  // namespace
}  // namespace hearth::zip
