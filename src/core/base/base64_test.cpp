#include "core/base/base64.h"

#include <gtest/gtest.h>

namespace hearth {
namespace {

TEST(Base64, IsThatOfTheStandardBothWays) {
  for (const auto& [bytes, text] : {std::pair<std::string, std::string>{"", ""},
                                    {"f", "Zg=="},
                                    {"fo", "Zm8="},
                                    {"foo", "Zm9v"},
                                    {"foobar", "Zm9vYmFy"},
                                    {std::string("\xff\x00\xfe", 3), "/wD+"}}) {
    EXPECT_EQ(to_base64(bytes), text);
    EXPECT_EQ(*from_base64(text), bytes);
  }
  std::string every;
  for (int i = 0; i < 256; ++i) every += static_cast<char>(i);
  EXPECT_EQ(*from_base64(to_base64(every)), every);
}

TEST(Base64, LineEndsArePassedOverAndOtherBytesNamed) {
  EXPECT_EQ(*from_base64("Zm9v\r\nYmFy\n"), "foobar");
  const Result<std::string> bad = from_base64("Zm9v*");
  ASSERT_FALSE(bad);
  EXPECT_EQ(bad.error().code(), Code::kCorruptFile);
  EXPECT_EQ(bad.error().message(), "byte 0x2a is not base64");
}

}  // namespace
}  // namespace hearth
