// DigitGroups: the same cuts as the regular expressions, in time that grows with the text.
#include "text/tokenize/digit_groups.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "text/tokenize/families.h"
#include "text/tokenize/pretokenizer.h"

namespace hearth::text {
namespace {

constexpr const char* kPatterns[] = {
    R"(\d{1,3}(?=(?:\d{3})*\b))",
    R"(\p{N}{1,3}(?=(?:\p{N}{3})*(?!\p{N})))",
    R"([0-9]{1,3}(?=([0-9]{3})*\b))",
    R"(\p{Nd}{1,3}(?=(?:\p{Nd}{3})*(?!\p{Nd})))",
    R"((?=(\d{3})+(?!\d)))",
};

std::vector<std::string> cut(const PreTokenizer::StepPtr& step, const std::string& text) {
  RegexScratch scratch;
  Words words{.text = text, .spans = {{0, static_cast<uint32_t>(text.size())}}};
  step->apply(words, scratch);
  std::vector<std::string> out;
  for (Span span : words.spans) out.emplace_back(words.word(span));
  return out;
}

TEST(DigitGroups, KnowsItsPatternsAndNoOthers) {
  for (const char* pattern : kPatterns) EXPECT_TRUE(DigitGroups::from_pattern(pattern)) << pattern;
  for (const char* other : {R"(\d{1,3})", R"(\d{1,3}(?=(?:\p{N}{3})*\b))", R"(\d{1,2}(?=(?:\d{3})*\b))", "",
                            R"(\d{1,3}(?=(?:\d{3})+\b))", R"(\d{1,3}(?=(?:\d{3})*\b)|x)"}) {
    EXPECT_FALSE(DigitGroups::from_pattern(other)) << other;
  }
}

TEST(DigitGroups, CutAsTheRegularExpressionsDo) {
  const std::string kParts[] = {"1",      "23",     "456",        "7890",   "a",      "_",
                                " ",      ".",      "\n",         "\u00e9", "\u0301", "\u0663",
                                "\u00b2", "\u2167", "\U0001d7d8", "\u4e00", "-",      "\u203f"};
  std::mt19937 random(11);
  for (const char* pattern : kPatterns) {
    for (SplitBehavior behavior : {SplitBehavior::kIsolated, SplitBehavior::kRemoved, SplitBehavior::kContiguous,
                                   SplitBehavior::kMergedWithPrevious, SplitBehavior::kMergedWithNext}) {
      const bool inverts = behavior == SplitBehavior::kRemoved;
      const PreTokenizer::StepPtr fast = split(pattern, behavior, inverts);
      const PreTokenizer::StepPtr plain = split("(?:" + std::string(pattern) + ")", behavior, inverts);
      for (int i = 0; i < 400; ++i) {
        std::string text;
        for (size_t n = random() % 12; n > 0; --n) text += kParts[random() % std::size(kParts)];
        ASSERT_EQ(cut(fast, text), cut(plain, text)) << pattern << " on '" << text << "'";
      }
    }
  }
}

double seconds_to_cut(const Family& family, const std::string& text) {
  double best = 1e9;
  for (int i = 0; i < 3; ++i) {
    RegexScratch scratch;
    const auto start = std::chrono::steady_clock::now();
    const Words words = family.pre_tokenizer.apply(text, true, scratch);
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
    EXPECT_GE(words.spans.size(), text.size() / 3);
  }
  return best;
}

// A hundred times the text: in the square it would take ten thousand times as long.
TEST(DigitGroups, LongRunsTakeTimeInProportion) {
  for (const char* name : {"tiny_aya", "afmoe", "superbpe"}) {
    const Family family = make_family(name);
    for (const char* tail : {"", "x"}) {  // a word boundary behind the run and none
      const double small = seconds_to_cut(family, std::string(10'000, '7') + tail);
      const double large = seconds_to_cut(family, std::string(1'000'000, '7') + tail);
      EXPECT_LT(large, 1000 * small) << name << tail;
    }
  }
}

}  // namespace
}  // namespace hearth::text
