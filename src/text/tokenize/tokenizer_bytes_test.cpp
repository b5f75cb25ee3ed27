// What a tokenizer says its tables take, against what the C library says it took for them.
#include <gtest/gtest.h>
#include <malloc.h>

#include "text/tokenize/tokenizer.h"

namespace hearth::text {
namespace {

int64_t heap_bytes() {
  const struct mallinfo2 now = ::mallinfo2();
  return static_cast<int64_t>(now.uordblks + now.hblkhd);
}

// A vocabulary of `count` spellings "aaaa", "aaab", ...; their beginnings come first.
std::vector<std::string> spellings(size_t count) {
  std::vector<std::string> all;
  for (char c = 'a'; c <= 'z'; ++c) all.push_back(std::string(1, c));
  for (size_t parent = 0; all.size() < count; ++parent) {
    for (char c = 'a'; c <= 'z' && all.size() < count; ++c) all.push_back(all[parent] + c);
  }
  return all;
}

// Kinds are the GGUF's numbers: 1 normal, 3 control.
Value metadata(const std::string& model, size_t count, int kind_of_last_third) {
  Value tokens = Value::list(), kinds = Value::list(), scores = Value::list(), merges = Value::list();
  const std::vector<std::string> all = spellings(count);
  for (size_t i = 0; i < all.size(); ++i) {
    tokens.push(all[i]);
    kinds.push(i < all.size() / 3 * 2 ? 1 : kind_of_last_third);
    scores.push(-static_cast<double>(i));
    if (all[i].size() > 1) merges.push(all[i].substr(0, all[i].size() - 1) + " " + all[i].back());
  }
  Value out = Value::object({{"tokenizer.ggml.model", model}, {"tokenizer.ggml.tokens", std::move(tokens)},
                             {"tokenizer.ggml.token_type", std::move(kinds)},
                             {"tokenizer.ggml.unknown_token_id", 0}});
  if (model == "gpt2") out.set("tokenizer.ggml.merges", std::move(merges));
  if (model == "gpt2") out.set("tokenizer.ggml.pre", "gpt-2");
  if (model != "gpt2") out.set("tokenizer.ggml.scores", std::move(scores));
  return out;
}

void expect_true_to_a_few_percent(const Value& value) {
  const int64_t before = heap_bytes();
  const std::shared_ptr<const Tokenizer> tokenizer = Tokenizer::from_gguf(value);
  const int64_t taken = heap_bytes() - before;
  if (taken <= 0) GTEST_SKIP() << "this C library does not count";
  EXPECT_NEAR(static_cast<double>(tokenizer->bytes()), static_cast<double>(taken), 0.03 * static_cast<double>(taken));
}

TEST(TokenizerBytes, OfMerges) {
  expect_true_to_a_few_percent(metadata("gpt2", 40'000, 1));
  expect_true_to_a_few_percent(metadata("gpt2", 150'000, 1));
}

TEST(TokenizerBytes, OfScores) { expect_true_to_a_few_percent(metadata("llama", 250'000, 1)); }

TEST(TokenizerBytes, OfManyAddedTokens) { expect_true_to_a_few_percent(metadata("llama", 60'000, 3)); }

TEST(TokenizerBytes, OfPieces) { expect_true_to_a_few_percent(metadata("t5", 100'000, 1)); }

}  // namespace
}  // namespace hearth::text
