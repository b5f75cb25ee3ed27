// Tokenizers from small hand-made GGUF metadata and tokenizer.json texts. Big vocabularies are compared with the
// reference implementation by tests/oracle/tokenizer_oracle.py.
#include "text/tokenize/tokenizer.h"

#include <algorithm>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "formats/json/json.h"

namespace hearth::text {
namespace {

using Ids = std::vector<int32_t>;

Value parse(std::string_view text) { return json::parse(text).value(); }

// 0-2 special, 3.. "a b c ab bc abc Ġ Ġa", then a user-defined token.
Value small_bpe() {
  return parse(R"({"tokenizer.ggml.model": "gpt2", "tokenizer.ggml.pre": "gpt-2",
    "tokenizer.ggml.tokens": ["<s>", "<|im_end|>", "<unk>", "a", "b", "c", "ab", "bc", "abc", "Ġ", "Ġa", "<tool>",
                              "Ã", "©"],
    "tokenizer.ggml.token_type": [3, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 4, 1, 1],
    "tokenizer.ggml.merges": ["b c", "a b", "a bc", "Ġ a"],
    "tokenizer.ggml.bos_token_id": 0, "tokenizer.ggml.eos_token_id": 1, "tokenizer.ggml.add_bos_token": true,
    "tokenizer.chat_template": "{{ x }}"})");
}

// Llama-like: scores, byte tokens for "é" only, a control token that looks like a word.
Value small_sentencepiece() {
  return parse(R"({"tokenizer.ggml.model": "llama",
    "tokenizer.ggml.tokens": ["<unk>", "<s>", "aa", "<0xC3>", "<0xA9>", "▁", "a", "b", "ab", "▁a", "▁ab", "s", ">", "</s"],
    "tokenizer.ggml.scores": [0, 0, 0, 0, 0, -9, -7, -8, -2, -1, -3, -4, -5, -6],
    "tokenizer.ggml.token_type": [2, 3, 3, 6, 6, 1, 1, 1, 1, 1, 1, 1, 1, 1],
    "tokenizer.ggml.bos_token_id": 1, "tokenizer.ggml.eos_token_id": 2})");
}

Value small_json() {
  return parse(R"({"version": "1.0", "normalizer": {"type": "NFC"},
    "added_tokens": [{"id": 0, "content": "<s>", "special": true}, {"id": 9, "content": "<tool>", "special": false},
                     {"id": 10, "content": "<|im_end|>", "special": true}],
    "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "use_regex": true},
    "post_processor": {"type": "TemplateProcessing",
      "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]},
    "decoder": {"type": "ByteLevel"},
    "model": {"type": "BPE", "vocab": {"<s>": 0, "a": 1, "b": 2, "c": 3, "ab": 4, "bc": 5, "Ġ": 6, "Ã": 7, "©": 8},
              "merges": [["b", "c"], "a b"]}})");
}

TEST(Tokenizer, MergesByRankNotByPosition) {
  auto tokenizer = Tokenizer::from_gguf(small_bpe());
  EncodeOptions bare{.add_special = false};
  EXPECT_EQ(tokenizer->encode("abc", bare), Ids({8}));           // b c first, then a bc
  EXPECT_EQ(tokenizer->encode("ab bab", bare), Ids({6, 9, 4, 6}));
  EXPECT_EQ(tokenizer->encode("aab", bare), Ids({3, 6}));
  EXPECT_EQ(tokenizer->encode("a ab", bare), Ids({3, 9, 6}));  // "a b" has the better rank, then "Ġ ab" is no rule
  EXPECT_EQ(tokenizer->encode("", bare), Ids());
  EXPECT_EQ(tokenizer->encode(""), Ids({0}));
  EXPECT_EQ(tokenizer->encode("abc abc abc", bare), Ids({8, 9, 8, 9, 8}));  // repeated words
}

TEST(Tokenizer, ReadsSpecialTokensOnlyWhenAsked) {
  auto tokenizer = Tokenizer::from_gguf(small_bpe());
  EXPECT_EQ(tokenizer->encode("a<|im_end|>b", {.add_special = false, .parse_special = true}), Ids({3, 1, 4}));
  Ids typed = tokenizer->encode("a<|im_end|>b", {.add_special = false});
  EXPECT_EQ(std::count(typed.begin(), typed.end(), 1), 0);
  EXPECT_EQ(tokenizer->encode("a<tool>b", {.add_special = false}), Ids({3, 11, 4}));  // user-defined: always
  EXPECT_TRUE(tokenizer->is_special(1));
  EXPECT_FALSE(tokenizer->is_special(11));
  EXPECT_TRUE(tokenizer->is_end(1));
  EXPECT_FALSE(tokenizer->is_end(0));
  EXPECT_EQ(tokenizer->find("<|im_end|>"), 1);
  EXPECT_EQ(tokenizer->find("nothing"), std::nullopt);
  EXPECT_EQ(tokenizer->token_text(10), "Ġa");
  EXPECT_EQ(tokenizer->piece(10), " a");
  EXPECT_EQ(tokenizer->bos(), 0);
  EXPECT_TRUE(tokenizer->adds_bos());
  EXPECT_EQ(tokenizer->chat_template(), "{{ x }}");
}

TEST(Tokenizer, DecodesAndIgnoresForeignIds) {
  auto tokenizer = Tokenizer::from_gguf(small_bpe());
  EXPECT_EQ(tokenizer->decode(Ids{0, 8, 10, 1}), "abc a");
  EXPECT_EQ(tokenizer->decode(Ids{0, 8, 10, 1}, false), "<s>abc a<|im_end|>");
  EXPECT_EQ(tokenizer->decode(Ids{-1, 8, 1 << 30}), "abc");
  EXPECT_EQ(tokenizer->piece(-5), "");
  EXPECT_EQ(tokenizer->token_text(99), "");
  EXPECT_FALSE(tokenizer->is_special(99));
  EXPECT_FALSE(tokenizer->is_end(-1));
}

TEST(Tokenizer, SentencePieceMergesByScoreAndFallsBackToBytes) {
  auto tokenizer = Tokenizer::from_gguf(small_sentencepiece());
  EXPECT_EQ(tokenizer->encode("ab"), Ids({1, 10}));      // "▁a" scores best, then "▁ab"
  EXPECT_EQ(tokenizer->encode("bab"), Ids({1, 5, 7, 8}));  // "ab" is a token, "ba" and "▁b" are not
  EXPECT_EQ(tokenizer->encode("é", {.add_special = false}), Ids({5, 3, 4}));
  EXPECT_EQ(tokenizer->encode("ü", {.add_special = false}), Ids({5, 0}));
  EXPECT_EQ(tokenizer->encode(" a", {.add_special = false}), Ids({5, 9}));  // the dummy space comes on top
  EXPECT_EQ(tokenizer->encode("aa", {.add_special = false}), Ids({9, 6}));  // a control token is never plain text
  EXPECT_EQ(tokenizer->encode("baab", {.add_special = false, .parse_special = true}), Ids({5, 7, 2, 5, 7}));
  EXPECT_EQ(tokenizer->decode(Ids{1, 10, 8}), "abab");
}

TEST(Tokenizer, ReadsTokenizerJson) {
  auto tokenizer = Tokenizer::from_json(small_json(), parse(R"({"eos_token": {"content": "<|im_end|>"}})"));
  EXPECT_EQ(tokenizer->encode("abc"), Ids({0, 1, 5}));
  EXPECT_EQ(tokenizer->encode("e", {.add_special = false}), Ids());  // no unknown token: what is not there vanishes
  EXPECT_EQ(tokenizer->encode("e\u0301 a", {.add_special = false}), Ids({7, 8, 6, 1}));  // composed first
  EXPECT_EQ(tokenizer->encode("<tool>a", {.add_special = false}), Ids({9, 1}));
  EXPECT_EQ(tokenizer->eos(), 10);
  EXPECT_EQ(tokenizer->bos(), 0);
  EXPECT_EQ(tokenizer->end_ids(), Ids({10}));
  EXPECT_EQ(tokenizer->decode(Ids{0, 1, 5, 7, 8}), "abc\u00e9");
  auto without_bos = Tokenizer::from_json(small_json(), parse(R"({"bos_token": "<s>", "add_bos_token": false})"));
  EXPECT_EQ(without_bos->encode("a"), Ids({1}));
}

TEST(Tokenizer, TakesAnyBytes) {
  auto tokenizer = Tokenizer::from_gguf(small_bpe());
  EXPECT_EQ(tokenizer->encode(std::string("a\xFF\0b", 4), {.add_special = false}), Ids({3, 4}));
}

TEST(Tokenizer, LongWordWithoutSpacesIsNotQuadratic) {
  auto tokenizer = Tokenizer::from_gguf(small_bpe());
  std::string word;
  for (uint32_t i = 0; i < 400'000; ++i) word += "abc"[i * 2654435761u >> 16 & 1 ? i % 3 : 0];
  Ids ids = tokenizer->encode(word, {.add_special = false});
  EXPECT_EQ(tokenizer->decode(ids), word);
}

TEST(StreamDecoder, HoldsBackHalfCharacters) {
  auto tokenizer = Tokenizer::from_gguf(small_bpe());  // 12 = 0xC3, 13 = 0xA9
  StreamDecoder stream(*tokenizer);
  EXPECT_EQ(stream.push(3), "a");
  EXPECT_EQ(stream.push(12), "");
  EXPECT_EQ(stream.push(13), "\u00e9");
  EXPECT_EQ(stream.push(12), "");
  EXPECT_EQ(stream.push(1), "");           // a special token does not cut a character in two
  EXPECT_EQ(stream.push(3), "\uFFFDa");    // no longer a character: nothing is lost
  EXPECT_EQ(stream.push(12), "");
  EXPECT_EQ(stream.flush(), "\uFFFD");
  EXPECT_EQ(stream.flush(), "");
  EXPECT_EQ(stream.push(13), "\uFFFD");    // a tail without its beginning
}

TEST(StreamDecoder, TakesTheDummySpaceOffOnlyAtTheStart) {
  auto tokenizer = Tokenizer::from_gguf(small_sentencepiece());
  EXPECT_EQ(tokenizer->decode(Ids{9, 9}), "a a");
  StreamDecoder inside(*tokenizer, {.at_start = false});
  EXPECT_EQ(inside.push(9), " a");
  EXPECT_EQ(inside.push(3), "");
  EXPECT_EQ(inside.push(4), "\u00e9");
}

}  // namespace
}  // namespace hearth::text
