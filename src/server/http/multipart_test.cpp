#include "server/http/multipart.h"

#include <gtest/gtest.h>

namespace hearth::http {
namespace {

constexpr const char* kType = "multipart/form-data; boundary=XyZ";

std::string part(std::string_view headers, std::string_view data) {
  return "--XyZ\r\n" + std::string(headers) + "\r\n\r\n" + std::string(data) + "\r\n";
}

TEST(Multipart, TakesFieldsAndFiles) {
  const std::string bytes("\x89PNG\r\n--Xy\0\r\n", 13);
  const std::string body = part("Content-Disposition: form-data; name=\"type\"", "input") +
                           part("Content-Disposition: form-data; name=\"image\"; filename=\"a \\\"b\\\".png\"\r\n"
                                "Content-Type: image/png", bytes) +
                           part("content-disposition: form-data; name=empty", "") + "--XyZ--\r\n";
  auto parts = parse_multipart(kType, body);
  ASSERT_TRUE(parts) << parts.error().message();
  ASSERT_EQ(parts->size(), 3u);
  EXPECT_EQ(find_part(*parts, "type")->data, "input");
  EXPECT_FALSE(find_part(*parts, "type")->filename);
  const Part* image = find_part(*parts, "image");
  EXPECT_EQ(image->data, bytes);
  EXPECT_EQ(*image->filename, "a \"b\".png");
  EXPECT_EQ(image->content_type, "image/png");
  EXPECT_EQ(find_part(*parts, "empty")->data, "");
  EXPECT_EQ(find_part(*parts, "none"), nullptr);
}

TEST(Multipart, ReadsQuotedBoundariesPreamblesAndEncodedNames) {
  auto parts = parse_multipart("Multipart/Form-Data; charset=x; boundary=\"a b\"",
                               "preamble\r\n--a b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"x\"; "
                               "filename*=UTF-8''%C3%A4.png\r\n\r\n1\r\n--a b--");
  ASSERT_TRUE(parts) << parts.error().message();
  EXPECT_EQ(*parts->at(0).filename, "\xc3\xa4.png");
}

TEST(Multipart, RefusesBrokenForms) {
  const std::string good = part("Content-Disposition: form-data; name=a", "1");
  const std::pair<std::string, std::string> cases[] = {
      {"application/json", good},        {"multipart/form-data", good}, {kType, ""},
      {kType, "--Xy"},                   {kType, good},                 {kType, "--XyZ"},
      {kType, good + "--XyZ\r\nContent"}, {kType, part("Content-Type: a/b", "1") + "--XyZ--"},
      {kType, part("nonsense", "1") + "--XyZ--"},
      {kType, part(std::string(kMaxPartHeaderBytes, 'h'), "1") + "--XyZ--"},
      {"multipart/form-data; boundary=" + std::string(300, 'b'), good},
  };
  for (const auto& [type, body] : cases) EXPECT_FALSE(parse_multipart(type, body)) << type << "\n" << body;
  std::string many;
  for (size_t i = 0; i <= kMaxParts; ++i) many += good;
  EXPECT_FALSE(parse_multipart(kType, many + "--XyZ--"));
}

}  // namespace
}  // namespace hearth::http
