#include "ops/random/seed_sequence.h"

namespace hearth {
namespace {

/// A multiplicative hash whose constant changes with every word.
class WordHash {
 public:
  WordHash(uint32_t constant, uint32_t multiplier) : constant_(constant), multiplier_(multiplier) {}
  uint32_t operator()(uint32_t word) {
    word ^= constant_;
    constant_ *= multiplier_;
    word *= constant_;
    return word ^ word >> 16;
  }

 private:
  uint32_t constant_, multiplier_;
};

uint32_t mix(uint32_t x, uint32_t y) {
  uint32_t word = 0xCA01F9DDu * x - 0x4973F715u * y;
  return word ^ word >> 16;
}

void append_words(std::vector<uint32_t>& words, uint64_t number) {
  words.push_back(static_cast<uint32_t>(number));
  if (number >> 32) words.push_back(static_cast<uint32_t>(number >> 32));
}

}  // namespace

std::vector<uint32_t> seed_sequence(uint64_t entropy, std::span<const uint64_t> spawn_key, int pool_size, int count) {
  const size_t pool_words = static_cast<size_t>(pool_size);
  std::vector<uint32_t> words;
  append_words(words, entropy);
  if (!spawn_key.empty() && words.size() < pool_words) words.resize(pool_words);  // a key never reads as entropy
  for (uint64_t key : spawn_key) append_words(words, key);

  WordHash hash(0x43B0D7E5u, 0x931E8875u);
  std::vector<uint32_t> pool(pool_words);
  for (size_t i = 0; i < pool_words; ++i) pool[i] = hash(i < words.size() ? words[i] : 0);
  for (size_t from = 0; from < pool_words; ++from)
    for (size_t to = 0; to < pool_words; ++to)
      if (from != to) pool[to] = mix(pool[to], hash(pool[from]));
  for (size_t from = pool_words; from < words.size(); ++from)
    for (size_t to = 0; to < pool_words; ++to) pool[to] = mix(pool[to], hash(words[from]));

  WordHash out(0x8B51F9DDu, 0x58F38DEDu);
  std::vector<uint32_t> state(static_cast<size_t>(count));
  for (size_t i = 0; i < state.size(); ++i) state[i] = out(pool[i % pool_words]);
  return state;
}

}  // namespace hearth
