#include "text/tokenize/regex.h"

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "text/tokenize/families.h"

namespace hearth::text {
namespace {

std::vector<std::string> words(std::string_view family, std::string text) {
  RegexScratch scratch;
  Words cut = make_family(family).pre_tokenizer.apply(std::move(text), true, scratch);
  std::vector<std::string> out;
  for (Span span : cut.spans) out.emplace_back(cut.word(span));
  return out;
}

using List = std::vector<std::string>;

TEST(Regex, FollowsOnigurumaWherePcreDiffers) {
  RegexScratch scratch;
  Match match;
  EXPECT_FALSE(Regex(R"(\s)").search("a\u180eb", 0, scratch, match));  // no white space since Unicode 6.3
  EXPECT_TRUE(Regex(R"(\s)").search("a\u3000b", 0, scratch, match));
  EXPECT_EQ(match.end - match.begin, 3u);
  EXPECT_TRUE(Regex(R"(a$)").search("a\nb", 0, scratch, match));  // '$' also stands before a line end
  EXPECT_TRUE(Regex(R"([\p{L}&&[^\p{Han}]]+)").search("漢字abc漢", 0, scratch, match));
  EXPECT_EQ(match.begin, 6u);
  EXPECT_EQ(match.end, 9u);
  EXPECT_EQ(pcre2_pattern(R"([a[bc]])"), "[abc]");
  EXPECT_EQ(pcre2_pattern(R"(\h)"), "[0-9A-Fa-f]");
}

TEST(Regex, RefusesWhatDoesNotCompile) {
  for (const char* pattern : {"(", "[a", "a{2,1}", "(?<", "[a&&b]", "\\p{Nonsense}", "[^a&&[b]]", "\xFF", "\\C"}) {
    try {
      Regex regex(pattern);
      ADD_FAILURE() << pattern << " compiled";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::kCorruptFile);
      EXPECT_NE(error.message().find("regular expression"), std::string::npos) << error.message();
    }
  }
}

TEST(Regex, StopsAnExplodingPattern) {
  Regex regex("(a+)+b|(a|aa)+$x");
  RegexScratch scratch;
  Match match;
  EXPECT_THROW(regex.search(std::string(5000, 'a'), 0, scratch, match), Error);
}

TEST(Regex, LongWordsInGroupsDoNotExhaustTheStack) {
  std::string word(300'000, 'x');
  EXPECT_EQ(words("kimi-k2", word), List{word});
}

TEST(Families, CutAsTheirModelsDo) {
  EXPECT_EQ(words("gpt-2", "I'll go 12 "), (List{"I", "'ll", "Ġgo", "Ġ12", "Ġ"}));
  EXPECT_EQ(words("smollm", "a 123"), (List{"a", "Ġ", "1", "2", "3"}));
  EXPECT_EQ(words("llama-bpe", "HE'LL 12345\n\nx"), (List{"HE", "'LL", "Ġ", "123", "45", "ĊĊ", "x"}));
  EXPECT_EQ(words("qwen2", "ab12 !?\n"), (List{"ab", "1", "2", "Ġ!?Ċ"}));
  EXPECT_EQ(words("tekken", "camelCase"), (List{"camel", "Case"}));
  EXPECT_EQ(words("deepseek-v3", "1234#if"), (List{"123", "4", "#if"}));
  EXPECT_EQ(words("superbpe", "1234567"), (List{"1", "234", "567"}));
  EXPECT_EQ(words("afmoe", "1234567"), (List{"1", "234", "567"}));
  EXPECT_EQ(words("gemma4", "a b\n\nc"), (List{"a b", "\n\n", "c"}));
}

TEST(Families, AnUnknownNameListsTheKnownOnes) {
  try {
    make_family("gpt-9");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kUnsupported);
    EXPECT_NE(error.message().find("'gpt-9'"), std::string::npos);
    EXPECT_NE(error.message().find("llama-bpe"), std::string::npos);
  }
}

TEST(Families, EveryNameBuildsAndLosesNoByte) {
  std::string names = family_names();
  for (size_t begin = 0; begin < names.size();) {
    size_t end = std::min(names.find(", ", begin), names.size());
    std::string name = names.substr(begin, end - begin);
    begin = end + 2;
    if (name == "whitespace") continue;  // drops the spaces by design
    std::string joined, all;
    for (const std::string& word : words(name, "Añb 12345 x²\r\n\n  漢字かな!? don't  ")) joined += word;
    PreTokenizer plain;
    bool is_byte_level = make_family(name).is_byte_level;
    if (is_byte_level) plain.add(byte_level(false, false));
    RegexScratch scratch;
    EXPECT_EQ(joined, plain.apply("Añb 12345 x²\r\n\n  漢字かな!? don't  ", true, scratch).text) << name;
  }
}

}  // namespace
}  // namespace hearth::text
