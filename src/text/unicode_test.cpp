#include "text/unicode.h"

#include <gtest/gtest.h>

namespace hearth::text {
namespace {

TEST(Unicode, RepairsMalformedTextByMaximalParts) {
  EXPECT_EQ(to_valid_utf8("plain é 漢 😀"), "plain é 漢 😀");
  EXPECT_EQ(to_valid_utf8("a\xFF" "b"), "a\uFFFDb");
  EXPECT_EQ(to_valid_utf8("\xE2\x82"), "\uFFFD");                       // one part of one character
  EXPECT_EQ(to_valid_utf8("\xE2\x82" "A"), "\uFFFDA");
  EXPECT_EQ(to_valid_utf8("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");       // a surrogate is three wrong bytes
  EXPECT_EQ(to_valid_utf8("\xC0\xAF"), "\uFFFD\uFFFD");                 // overlong
  EXPECT_EQ(to_valid_utf8("\xF4\x90\x80\x80"), "\uFFFD\uFFFD\uFFFD\uFFFD");  // above U+10FFFF
  EXPECT_TRUE(is_valid_utf8("\xF4\x8F\xBF\xBF"));
  EXPECT_FALSE(is_valid_utf8("\xF0\x80\x80\x80"));
}

TEST(Unicode, KnowsWhatMoreBytesCouldComplete) {
  EXPECT_EQ(pending_utf8_bytes("abc"), 0u);
  EXPECT_EQ(pending_utf8_bytes("a\xC3"), 1u);
  EXPECT_EQ(pending_utf8_bytes("a\xF0\x9F\x98"), 3u);
  EXPECT_EQ(pending_utf8_bytes("a\xF0\x9F\x98\x80"), 0u);
  EXPECT_EQ(pending_utf8_bytes("a\xFF"), 0u);      // no byte can follow
  EXPECT_EQ(pending_utf8_bytes("\x80"), 0u);       // a stray tail
  EXPECT_EQ(pending_utf8_bytes("\xE0\x80"), 0u);   // wrong second byte
}

TEST(Unicode, RoundTripsEveryCodePoint) {
  for (uint32_t c = 0; c <= 0x10FFFF; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string text;
    append_utf8(text, c);
    CodePoint read = first_code_point(text);
    ASSERT_EQ(read.value, c);
    ASSERT_EQ(read.bytes, text.size());
    ASSERT_EQ(sequence_length(static_cast<unsigned char>(text[0])), text.size());
  }
}

TEST(Unicode, NormalisesAndClassifies) {
  EXPECT_EQ(normalize("e\u0301", NormalForm::kNfc), "\u00e9");
  EXPECT_EQ(normalize("\u00e9", NormalForm::kNfd), "e\u0301");
  EXPECT_EQ(normalize("ﬁ①", NormalForm::kNfkc), "fi1");
  EXPECT_TRUE(is_space(0x3000));
  EXPECT_FALSE(is_space(0x180E));
  EXPECT_TRUE(is_punctuation('!'));
  EXPECT_FALSE(is_punctuation('$'));
  std::string lower;
  append_lower(lower, 0x130);
  EXPECT_EQ(lower, "i\u0307");
  EXPECT_EQ(first_grapheme_bytes("👩🏿\u200d🚀x"), std::string("👩🏿\u200d🚀").size());
}

}  // namespace
}  // namespace hearth::text
