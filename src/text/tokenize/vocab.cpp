#include "text/tokenize/vocab.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "core/base/error.h"

namespace hearth::text {
namespace {

uint64_t mix(uint64_t a, uint64_t b) {
  auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

}  // namespace

uint64_t hash_text(std::string_view text) {
  constexpr uint64_t kA = 0x9E3779B97F4A7C15, kB = 0xD1B54A32D192ED03;
  uint64_t hash = text.size() * kA;
  const char* at = text.data();
  size_t left = text.size();
  for (; left >= 8; at += 8, left -= 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    hash = mix(hash ^ word, kB);
  }
  uint64_t tail = 0;
  if (left > 0) std::memcpy(&tail, at, left);
  return mix(hash ^ tail, kA);
}

void Vocab::reserve(size_t tokens, size_t text_bytes) {
  pool_.reserve(text_bytes);
  spans_.reserve(tokens);
  kinds_.reserve(tokens);
  size_t slots = 16;
  while (slots * 2 < tokens * 3) slots *= 2;
  rehash(slots);
}

void Vocab::grow_to(int32_t id) {
  size_t wanted = static_cast<size_t>(id) + 1;
  if (wanted <= spans_.size()) return;
  spans_.resize(wanted);
  kinds_.resize(wanted, TokenKind::kMissing);
  if (!scores_.empty()) scores_.resize(wanted, 0);
}

void Vocab::add(int32_t id, std::string_view text, TokenKind kind, float score) {
  if (id < 0 || id >= kMaxTokens) {
    throw Error(Code::kCorruptFile, fmt::format("token id {} is out of range, expected 0 to {}", id, kMaxTokens - 1));
  }
  grow_to(id);
  auto index = static_cast<size_t>(id);
  if (kinds_[index] != TokenKind::kMissing) {
    throw Error(Code::kCorruptFile,
                fmt::format("token id {} is given to both '{}' and '{}'", id, this->text(id), text));
  }
  if (pool_.size() + text.size() > std::numeric_limits<uint32_t>::max()) {
    throw Error(Code::kCorruptFile, "the vocabulary holds more than 4 GiB of text");
  }
  spans_[index] = {static_cast<uint32_t>(pool_.size()), static_cast<uint32_t>(text.size())};
  pool_.append(text);
  kinds_[index] = kind;
  if (score != 0 && scores_.empty()) scores_.resize(spans_.size(), 0);
  if (!scores_.empty()) scores_[index] = score;
  longest_ = std::max(longest_, text.size());
  insert(text, id);
}

void Vocab::freeze() {
  pool_.shrink_to_fit();
  spans_.shrink_to_fit();
  kinds_.shrink_to_fit();
  scores_.shrink_to_fit();
}

size_t Vocab::bytes() const {
  return pool_.capacity() + spans_.capacity() * sizeof(Span) + kinds_.capacity() * sizeof(TokenKind) +
         scores_.capacity() * sizeof(float) + slots_.capacity() * sizeof(Slot);
}

void Vocab::insert(std::string_view text, int32_t id) {
  if ((used_slots_ + 1) * 4 > slots_.size() * 3) rehash(std::max<size_t>(16, slots_.size() * 2));
  uint64_t hash = hash_text(text);
  auto tag = static_cast<uint32_t>(hash >> 32);
  size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask;; at = (at + 1) & mask) {
    Slot& slot = slots_[at];
    if (slot.id < 0) {
      slot = {tag, id};
      ++used_slots_;
      return;
    }
    if (slot.tag == tag && this->text(slot.id) == text) return;  // the first spelling keeps the word
  }
}

void Vocab::rehash(size_t slots) {
  if (slots <= slots_.size()) return;
  std::vector<Slot> old(slots);
  old.swap(slots_);
  used_slots_ = 0;
  for (const Slot& slot : old) {
    if (slot.id >= 0) insert(text(slot.id), slot.id);
  }
}

int32_t Vocab::find(std::string_view text) const {
  if (slots_.empty() || text.size() > longest_) return -1;
  uint64_t hash = hash_text(text);
  auto tag = static_cast<uint32_t>(hash >> 32);
  size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask;; at = (at + 1) & mask) {
    const Slot& slot = slots_[at];
    if (slot.id < 0) return -1;
    if (slot.tag == tag && this->text(slot.id) == text) return slot.id;
  }
}

std::string byte_token(unsigned char byte) { return fmt::format("<0x{:02X}>", byte); }

std::optional<unsigned char> parse_byte_token(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return std::nullopt;
  int value = 0;
  for (char c : text.substr(3, 2)) {
    size_t digit = std::string_view("0123456789ABCDEF0123456789abcdef").find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    value = value * 16 + static_cast<int>(digit % 16);
  }
  return static_cast<unsigned char>(value);
}

}  // namespace hearth::text
