// Prompts and texts against what ComfyUI and transformers make of them (tests/golden/clip), and what goldens cannot
// say.
#include "text/clip/prompt.h"

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "formats/json/json.h"
#include "text/clip/vocabulary.h"
#include "text/clip/weights.h"

namespace hearth::text {
namespace {

const std::vector<std::pair<std::string_view, int>> kEmbeddings = {
    {"style", 3}, {"one", 1}, {"wide", 12}, {"sub/deep", 2}, {"long", 80}};

std::optional<int> rows_of(std::string_view name) {
  if (name.ends_with(".safetensors")) name.remove_suffix(12);
  for (const auto& [known, rows] : kEmbeddings) {
    if (name == known) return rows;
  }
  return std::nullopt;
}

std::vector<Value> golden_lines(const char* name) {
  const char* root = std::getenv("HEARTH_SOURCE_DIR");
  std::filesystem::path top = root ? root : std::filesystem::path(__FILE__).parent_path() / "../../..";
  std::ifstream file(top / "tests/golden/clip" / name);
  std::vector<Value> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(json::parse(line).value());
  return lines;
}

// A golden chunk holds runs [word, weight, ids] without the padding.
void expect_chunk(const std::vector<PromptToken>& chunk, const Value& runs, const PromptTokens& all, int32_t pad) {
  ASSERT_EQ(chunk.size(), kClipChunk);
  size_t at = 0;
  for (const Value& run : runs.as_list()) {
    for (const Value& wanted : run.as_list()[2].as_list()) {
      const PromptToken& token = chunk[at++];
      int64_t id = token.id;
      if (token.embedding >= 0) {
        std::string_view name = all.embeddings[static_cast<size_t>(token.embedding)];
        if (name.ends_with(".safetensors")) name.remove_suffix(12);
        int64_t n = 0;
        while (kEmbeddings[static_cast<size_t>(n)].first != name) ++n;
        id = -(100 * n + token.row + 1);
      }
      EXPECT_EQ(id, wanted.as_int()) << "token " << at - 1;
      EXPECT_EQ(token.word, run.as_list()[0].as_int()) << "token " << at - 1;
      EXPECT_EQ(token.weight, run.as_list()[1].as_double()) << "token " << at - 1;
    }
  }
  for (; at < chunk.size(); ++at) {
    EXPECT_EQ(chunk[at].id, pad);
    EXPECT_EQ(chunk[at].weight, 1.0);
    EXPECT_EQ(chunk[at].word, 0);
  }
}

TEST(ClipPrompt, IsCutAsComfyUiCutsIt) {
  std::vector<Value> lines = golden_lines("prompts.jsonl");
  ASSERT_GE(lines.size(), 300u);
  for (const Value& line : lines) {
    SCOPED_TRACE(line.at("p").as_string());
    for (int32_t pad : {kClipEnd, 0}) {
      PromptTokens got = tokenize_prompt(line.at("p").as_string(), {.pad = pad, .rows = rows_of});
      ASSERT_EQ(got.chunks.size(), line.at("c").size());
      for (size_t i = 0; i < got.chunks.size(); ++i) expect_chunk(got.chunks[i], line.at("c").as_list()[i], got, pad);
    }
  }
}

TEST(ClipTokenizer, GivesTheIdsOfTheReference) {
  std::vector<Value> lines = golden_lines("texts.jsonl");
  ASSERT_GE(lines.size(), 100u);
  for (const Value& line : lines) {
    const std::string& text = line.at("t").as_string();
    std::vector<int32_t> wanted;
    for (const Value& id : line.at("i").as_list()) wanted.push_back(static_cast<int32_t>(id.as_int()));
    EXPECT_EQ(clip_tokenizer().encode(text, {.add_special = false, .parse_special = true}), wanted) << text;
  }
}

TEST(ClipTokenizer, KnowsItsOwnEnds) {
  const Tokenizer& clip = clip_tokenizer();
  EXPECT_EQ(clip.vocab_size(), 49408);
  EXPECT_EQ(clip.encode("A  Cat", {}), (std::vector<int32_t>{kClipStart, 320, 2368, kClipEnd}));
  EXPECT_EQ(clip.decode(std::vector<int32_t>{kClipStart, 320, 2368, kClipEnd}, true), "a cat ");
}

TEST(ClipPrompt, WithoutEmbeddingsTheirMarkIsText) {
  PromptTokens got = tokenize_prompt("embedding:one");
  EXPECT_TRUE(got.embeddings.empty());
  EXPECT_TRUE(got.missing.empty());
  EXPECT_GT(got.chunks[0][2].word, 0);
}

TEST(ClipPrompt, NamesWhatIsMissing) {
  PromptTokens got = tokenize_prompt("a embedding:nothing, embedding:< b", {.rows = rows_of});
  EXPECT_EQ(got.missing, (std::vector<std::string>{"nothing,", ""}));
}

TEST(ClipPrompt, AnEmbeddingsNameEndsAtABracket) {
  PromptTokens got = tokenize_prompt("embedding:one<lora:x> y", {.rows = rows_of});
  ASSERT_EQ(got.embeddings, std::vector<std::string>{"one"});
  std::vector<int32_t> rest = clip_tokenizer().encode("<lora:x> y", {.add_special = false});
  for (size_t i = 0; i < rest.size(); ++i) EXPECT_EQ(got.chunks[0][2 + i].id, rest[i]);
}

TEST(ClipPrompt, RefusesWhatIsTooDeepOrTooLong) {
  EXPECT_THROW(tokenize_prompt(std::string(100'000, '(') + "a" + std::string(100'000, ')')), Error);
  EXPECT_THROW(tokenize_prompt(std::string(kMaxPromptBytes + 1, 'a')), Error);
  std::string deep = std::string(kMaxWeightNesting, '(') + "a" + std::string(kMaxWeightNesting, ')');
  EXPECT_EQ(tokenize_prompt(deep).chunks.size(), 1u);
}

TEST(PythonFloat, ReadsWhatPythonReads) {
  for (const auto& [text, value] : std::map<std::string, double>{{" 1.5 ", 1.5},
                                                                 {"1e3", 1000},
                                                                 {".5", 0.5},
                                                                 {"5.", 5},
                                                                 {"-2", -2},
                                                                 {"+1_0.2_5", 10.25},
                                                                 {"1E-2", 0.01},
                                                                 {"1e999", INFINITY},
                                                                 {"1e-999", 0},
                                                                 {"-Infinity", -INFINITY},
                                                                 {"\u00a01\u3000", 1},
                                                                 {".5e1", 5}}) {
    EXPECT_EQ(parse_python_float(text), value) << text;
  }
  EXPECT_TRUE(std::isnan(parse_python_float("NaN").value_or(0)));
  for (const char* text : {"", " ", ".", "1__0", "_1", "1_", "1e", "e1", "0x1", "1 2", "1,5", "+-1", "infin"}) {
    EXPECT_EQ(parse_python_float(text), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace hearth::text
