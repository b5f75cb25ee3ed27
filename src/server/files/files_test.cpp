// Paths, ranges, uploads and user files on a real folder.
#include <gtest/gtest.h>

#include "core/base/files.h"
#include "core/testing/temp_folder.h"
#include "formats/json/json.h"
#include "server/files/contained_path.h"
#include "server/files/file_reply.h"
#include "server/files/media_type.h"
#include "server/files/uploads.h"
#include "server/files/user_files.h"

namespace hearth::server {
namespace {

class FilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    top_ = fs::canonical(folder_.path());
    root_ = top_ / "root";
    fs::create_directories(root_ / "sub");
    ASSERT_TRUE(write_text(root_ / "a.txt", "0123456789"));
    ASSERT_TRUE(write_text(top_ / "secret.txt", "secret"));
  }
  hearth::testing::TempFolder folder_;
  fs::path top_, root_;
};

TEST_F(FilesTest, NamesStayInTheirFolder) {
  EXPECT_EQ(contained_path(root_, ""), root_);
  EXPECT_EQ(contained_path(root_, "sub/new.png"), root_ / "sub/new.png");
  EXPECT_EQ(contained_path(root_, "./sub//x"), root_ / "sub/x");
  EXPECT_EQ(contained_path(root_, "..."), root_ / "...");
  fs::create_symlink(top_, root_ / "out");
  fs::create_symlink(top_ / "secret.txt", root_ / "link.txt");
  fs::create_symlink(root_ / "sub", root_ / "in");
  EXPECT_EQ(contained_path(root_, "in/x"), root_ / "sub/x");
  const std::string with_nul("a\0b", 3), long_name(300, 'n');
  for (std::string_view name : {std::string_view("../secret.txt"), std::string_view("sub/../../secret.txt"),
                                std::string_view("/etc/passwd"), std::string_view("out/secret.txt"),
                                std::string_view("link.txt"), std::string_view(".."), std::string_view("..\\x"),
                                std::string_view(with_nul), std::string_view(long_name)}) {
    EXPECT_FALSE(contained_path(root_, name)) << name;
  }
  fs::create_symlink(root_, top_ / "alias");
  EXPECT_EQ(contained_path(top_ / "alias", "a.txt"), root_ / "a.txt");  // the folder itself may be a link
}

TEST_F(FilesTest, RangesAreReadAsTheStandardSays) {
  ByteRange range;
  auto kind = [&](const char* header) { return parse_range(header, 10, range); };
  EXPECT_EQ(kind("bytes=2-4"), RangeKind::kPart);
  EXPECT_EQ(range.first, 2);
  EXPECT_EQ(range.last, 4);
  EXPECT_EQ(kind("bytes=7-"), RangeKind::kPart);
  EXPECT_EQ(range.last, 9);
  EXPECT_EQ(kind("bytes=-3"), RangeKind::kPart);
  EXPECT_EQ(range.first, 7);
  EXPECT_EQ(kind("bytes=-99"), RangeKind::kPart);
  EXPECT_EQ(range.first, 0);
  for (const char* header : {"bytes=10-", "bytes=-0", "bytes=99-100"}) {
    EXPECT_EQ(kind(header), RangeKind::kUnsatisfiable) << header;
  }
  for (const char* header : {"", "items=0-1", "bytes=1", "bytes=a-b", "bytes=4-2", "bytes=0-1,3-4", "bytes=--1",
                             "bytes=99999999999999999999-"}) {
    EXPECT_EQ(kind(header), RangeKind::kWhole) << header;
  }
}

TEST_F(FilesTest, FilesAnswerConditionsAndRanges) {
  http::HttpRequest request;
  auto reply = [&](http::Headers headers) {
    request.headers = std::move(headers);
    return file_reply(request, root_ / "a.txt", "text/plain");
  };
  const http::HttpResponse whole = reply({});
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(whole.body, "0123456789");
  const std::string tag(http::find_header(whole.headers, "etag"));
  const std::string time(http::find_header(whole.headers, "last-modified"));
  EXPECT_EQ(reply({{"If-None-Match", "\"other\", " + tag}}).status, 304);
  EXPECT_EQ(reply({{"If-Modified-Since", time}}).status, 304);
  EXPECT_EQ(reply({{"If-None-Match", "\"other\""}, {"If-Modified-Since", time}}).status, 200);
  const http::HttpResponse part = reply({{"Range", "bytes=3-5"}, {"If-Range", tag}});
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, "345");
  EXPECT_EQ(http::find_header(part.headers, "content-range"), "bytes 3-5/10");
  EXPECT_EQ(reply({{"Range", "bytes=3-5"}, {"If-Range", "\"other\""}}).body, "0123456789");
  EXPECT_EQ(reply({{"Range", "bytes=50-"}}).status, 416);
  EXPECT_EQ(file_reply(request, root_ / "none", "x").status, 404);
  EXPECT_EQ(file_reply(request, root_, "x").status, 404);
}

TEST_F(FilesTest, UploadsNeverReplaceByAccident) {
  Uploads uploads;
  auto store = [&](const char* name, const char* bytes, bool overwrite = false) {
    auto path = uploads.store(root_, "sub", name, bytes, overwrite);
    return path ? path->filename().string() : "refused";
  };
  EXPECT_EQ(store("p.png", "one"), "p.png");
  EXPECT_EQ(store("p.png", "one"), "p.png");
  EXPECT_EQ(store("p.png", "two"), "p (1).png");
  EXPECT_EQ(store("p.png", "two"), "p (1).png");
  EXPECT_EQ(store("p.png", "three"), "p (2).png");
  EXPECT_EQ(store("p.png", "four", true), "p.png");
  EXPECT_EQ(*read_text(root_ / "sub/p.png", 100), "four");
  for (const char* name : {"", "../x.png", "/x.png", "a/..", "."}) EXPECT_EQ(store(name, "x"), "refused") << name;
  EXPECT_FALSE(uploads.store(root_, "../other", "x.png", "x", false));
  EXPECT_FALSE(uploads.store(root_, "", "sub", "x", false));
  EXPECT_FALSE(fs::exists(top_ / "other"));
}

TEST_F(FilesTest, SettingsAreMergedAndSurviveDamage) {
  UserFiles user(root_);
  EXPECT_EQ(user.settings().size(), 0u);
  ASSERT_TRUE(user.merge_settings(Value::object({{"a", 1}, {"b", 2}})));
  ASSERT_TRUE(user.merge_settings(Value::object({{"b", "x"}})));
  EXPECT_EQ(json::write(UserFiles(root_).settings()), R"({"a":1,"b":"x"})");
  ASSERT_TRUE(write_text(root_ / "comfy.settings.json", "{broken"));
  EXPECT_EQ(user.settings().size(), 0u);
}

TEST(MediaType, KnowsWhatABrowserWouldRun) {
  EXPECT_EQ(media_type("A.PNG"), "image/png");
  EXPECT_EQ(media_type("x"), "application/octet-stream");
  for (const char* name : {"a.html", "a.HTM", "a.js", "a.css", "a.svg", "a.xml", "a.xhtml", "a.eml"}) {
    EXPECT_TRUE(is_active_content(media_type(name))) << name;
  }
  for (const char* name : {"a.png", "a.json", "a.txt", "a.mp4"}) EXPECT_FALSE(is_active_content(media_type(name)));
}

TEST(ContentDisposition, NamesAreEscaped) {
  EXPECT_EQ(content_disposition("attachment", "a \"b\".png"), "attachment; filename=\"a \\\"b\\\".png\"");
  EXPECT_EQ(content_disposition("", "\xc3\xa4.png"), "filename=\"__.png\"; filename*=UTF-8''%C3%A4.png");
  EXPECT_EQ(content_disposition("", "a\r\nb").find('\n'), std::string::npos);
}

}  // namespace
}  // namespace hearth::server
