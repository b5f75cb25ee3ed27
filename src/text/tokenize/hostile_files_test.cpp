// Tokenizer files that lie: each must end in an Error that says what is wrong, never in a crash or a silent default.
#include <functional>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "formats/json/json.h"
#include "text/tokenize/tokenizer.h"

namespace hearth::text {
namespace {

Value parse(std::string_view text) { return json::parse(text).value(); }

// The file must be refused, in words that hold `hint`.
void expect_refused(const std::function<void()>& build, std::string_view hint) {
  try {
    build();
    ADD_FAILURE() << "accepted; expected an error about " << hint;
  } catch (const Error& error) {
    EXPECT_TRUE(error.code() == Code::kCorruptFile || error.code() == Code::kUnsupported) << error.message();
    EXPECT_NE(error.message().find(hint), std::string::npos) << error.message();
  }
}

Value gguf_with(std::string_view key, std::string_view value) {
  Value metadata = parse(R"({"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.tokens": ["a", "b", "ab"], "tokenizer.ggml.merges": ["a b"], "tokenizer.ggml.token_type": [1, 1, 1]})");
  metadata.set(key, parse(value));
  return metadata;
}

void refuse_gguf(std::string_view key, std::string_view value, std::string_view hint) {
  expect_refused([&] { Tokenizer::from_gguf(gguf_with(key, value)); }, hint);
}

TEST(HostileGguf, IsRefusedByName) {
  refuse_gguf("tokenizer.ggml.model", R"("rwkv")", "'rwkv'");
  refuse_gguf("tokenizer.ggml.model", "7", "tokenizer.ggml.model");
  refuse_gguf("tokenizer.ggml.pre", R"("unheard-of")", "known are");
  refuse_gguf("tokenizer.ggml.tokens", "[]", "tokens");
  refuse_gguf("tokenizer.ggml.tokens", R"({"a": 1})", "expected array");
  refuse_gguf("tokenizer.ggml.tokens", R"(["a", "b", 3])", "expected string");
  refuse_gguf("tokenizer.ggml.token_type", "[1]", "1 entries for 3 tokens");
  refuse_gguf("tokenizer.ggml.token_type", R"(["x", "y", "z"])", "expected integer");
  refuse_gguf("tokenizer.ggml.scores", "[true, 1, 1]", "scores");
  refuse_gguf("tokenizer.ggml.merges", R"(["a  b"])", "lacks");
  refuse_gguf("tokenizer.ggml.merges", R"(["ab"])", "not two tokens");
  refuse_gguf("tokenizer.ggml.merges", R"(["a "])", "not two tokens");
  refuse_gguf("tokenizer.ggml.merges", R"(["b a"])", "'ba'");  // its result is no token
  refuse_gguf("tokenizer.ggml.bos_token_id", "3", "expected 0 to 2");
  refuse_gguf("tokenizer.ggml.eos_token_id", "-7", "expected 0 to 2");
  refuse_gguf("tokenizer.ggml.eos_token_id", R"("two")", "expected integer");
  refuse_gguf("tokenizer.ggml.add_bos_token", "1", "expected boolean");
  expect_refused([] { Tokenizer::from_gguf(Value()); }, "object");
  expect_refused([] { Tokenizer::from_gguf(Value::object()); }, "tokenizer.ggml.model");
}

TEST(HostileGguf, UnsetIdsAreNoErrors) {
  EXPECT_EQ(Tokenizer::from_gguf(gguf_with("tokenizer.ggml.bos_token_id", "4294967295"))->bos(), std::nullopt);
  EXPECT_EQ(Tokenizer::from_gguf(gguf_with("tokenizer.ggml.bos_token_id", "-1"))->bos(), std::nullopt);
}

Value json_with(std::string_view key, std::string_view value) {
  Value file = parse(R"({"model": {"type": "BPE", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}})");
  file.set(key, parse(value));
  return file;
}

void refuse_json(std::string_view key, std::string_view value, std::string_view hint) {
  expect_refused([&] { Tokenizer::from_json(json_with(key, value)); }, hint);
}

TEST(HostileJson, VocabulariesAndMerges) {
  refuse_json("model", R"({"type": "Mystery"})", "supported are BPE");
  refuse_json("model", "[]", "object");
  refuse_json("model", R"({"type": "BPE", "vocab": {}, "merges": []})", "vocab");
  refuse_json("model", R"({"type": "BPE", "vocab": ["a"], "merges": []})", "vocab");
  refuse_json("model", R"({"type": "BPE", "vocab": {"a": 0}})", "merges");
  refuse_json("model", R"({"type": "BPE", "vocab": {"a": -1}, "merges": []})", "id from 0");
  refuse_json("model", R"({"type": "BPE", "vocab": {"a": 9007199254740993}, "merges": []})", "id from 0");
  refuse_json("model", R"({"type": "BPE", "vocab": {"a": 16000000}, "merges": []})", "id from 0");
  refuse_json("model", R"({"type": "BPE", "vocab": {"a": "0"}, "merges": []})", "id from 0");
  refuse_json("model", R"({"type": "BPE", "vocab": {"a": 0, "b": 0}, "merges": []})", "both");
  refuse_json("model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a a"]})", "'aa'");
  refuse_json("model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": ["a"]})", "merges[0]");
  refuse_json("model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "a", "a"]]})", "merges[0]");
  refuse_json("model", R"({"type": "BPE", "vocab": {"a": 0}, "merges": [], "byte_fallback": 3})", "byte_fallback");
  refuse_json("model", R"({"type": "Unigram", "vocab": []})", "without pieces");
  refuse_json("model", R"({"type": "Unigram", "vocab": [["a"]]})", "vocab[0]");
  refuse_json("model", R"({"type": "Unigram", "vocab": [["a", -1.0]], "unk_id": 5})", "unk_id");
  expect_refused([] { Tokenizer::from_json(Value("text")); }, "model");
}

TEST(HostileJson, Components) {
  refuse_json("normalizer", R"({"type": "Rot13"})", "'Rot13' is not supported; supported are");
  refuse_json("normalizer", R"({"type": "Sequence"})", "normalizers");
  refuse_json("normalizer", R"("NFC")", "object");
  refuse_json("normalizer", R"({"type": "Replace", "content": ""})", "pattern");
  refuse_json("normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "/////w=="})", "charsmap");
  refuse_json("normalizer", R"({"type": "Precompiled", "precompiled_charsmap": "*"})", "base64");
  refuse_json("pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "(["}, "behavior": "Isolated"})",
              "regular expression");
  refuse_json("pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Sideways"})", "Sideways");
  refuse_json("pre_tokenizer", R"({"type": "Split", "pattern": 5})", "pattern");
  refuse_json("pre_tokenizer", R"({"type": "UnicodeScripts"})", "UnicodeScripts");
  refuse_json("decoder", R"({"type": "CTC"})", "CTC");
  refuse_json("post_processor", R"({"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>"}}]})",
              "lacks");
  refuse_json("added_tokens", R"([{"content": "<new>"}])", "no id");
  refuse_json("added_tokens", R"([{"content": "<new>", "id": 999999999}])", "id from 0");
  refuse_json("added_tokens", R"([{"content": "<new>", "id": 0}])", "both");
  refuse_json("added_tokens", R"({"a": 1})", "added_tokens");
  std::string huge(5000, 'x');
  refuse_json("added_tokens", R"([{"id": 3, "content": ")" + huge + R"("}])", "at most");
}

TEST(HostileJson, MergesThatFeedThemselvesStillEnd) {
  // "" + "a" would be a cycle; a rule that yields one of its own parts cannot be written with non-empty parts.
  refuse_json("model", R"({"type": "BPE", "vocab": {"a": 0, "": 1}, "merges": [["", "a"]]})", "merges[0]");
  auto tokenizer = Tokenizer::from_json(parse(
      R"({"model": {"type": "BPE", "vocab": {"a": 0, "aa": 1, "aaaa": 2}, "merges": ["a a", "aa aa", "a a"]}})"));
  EXPECT_EQ(tokenizer->encode("aaaaaaa"), (std::vector<int32_t>{2, 1, 0}));
}

TEST(HostileJson, AnEmptyMatchCannotStallASplit) {
  auto tokenizer = Tokenizer::from_json(json_with(
      "pre_tokenizer", R"({"type": "Split", "pattern": {"Regex": "x*"}, "behavior": "Isolated"})"));
  EXPECT_EQ(tokenizer->encode("abxab"), (std::vector<int32_t>{0, 1, 0, 1}));  // cut between all characters
}

}  // namespace
}  // namespace hearth::text
