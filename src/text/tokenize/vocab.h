// The words of a tokenizer: id <-> spelling, score and kind. All spellings lie in one pool of bytes and are found by an
// open-addressing table of (tag, id), so a vocabulary of 262,144 tokens costs about 9 MB and is built in milliseconds.
// Filled once by add() and freeze(), then immutable and shared by threads.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::text {

enum class TokenKind : uint8_t {
  kMissing,   // a hole: the file names no token with this id
  kNormal,
  kUnknown,   // stands for what the vocabulary cannot spell
  kControl,   // special: never produced from plain text
  kAdded,     // user-defined: matched in the text before everything else, but not special
  kUnused,
  kByte,      // <0xNN>
};

class Vocab {
 public:
  static constexpr int32_t kMaxTokens = 1 << 24;

  void reserve(size_t tokens, size_t text_bytes);
  /// Gives `id` a spelling. Throws Error{kCorruptFile} when the id is negative, too large or already taken.
  void add(int32_t id, std::string_view text, TokenKind kind = TokenKind::kNormal, float score = 0);
  void set_kind(int32_t id, TokenKind kind) { kinds_[static_cast<size_t>(id)] = kind; }
  /// Releases what growing left over; call it after the last add().
  void freeze();

  int size() const { return static_cast<int>(spans_.size()); }
  bool has(int32_t id) const { return id >= 0 && id < size() && kind(id) != TokenKind::kMissing; }
  std::string_view text(int32_t id) const {
    const Span& span = spans_[static_cast<size_t>(id)];
    return std::string_view(pool_).substr(span.begin, span.bytes);
  }
  TokenKind kind(int32_t id) const { return kinds_[static_cast<size_t>(id)]; }
  float score(int32_t id) const { return scores_.empty() ? 0 : scores_[static_cast<size_t>(id)]; }
  /// The id of a spelling (the first that was added), or -1.
  int32_t find(std::string_view text) const;
  /// Likewise, but never a special token: what plain text may become.
  int32_t find_plain(std::string_view text) const {
    int32_t id = find(text);
    return id >= 0 && is_special(id) ? -1 : id;
  }
  bool is_special(int32_t id) const { return kind(id) == TokenKind::kControl || kind(id) == TokenKind::kUnknown; }
  size_t longest() const { return longest_; }  // bytes
  size_t bytes() const;                        // of memory

 private:
  struct Span {
    uint32_t begin = 0, bytes = 0;
  };
  struct Slot {
    uint32_t tag = 0;
    int32_t id = -1;
  };
  void grow_to(int32_t id);
  void insert(std::string_view text, int32_t id);
  void rehash(size_t slots);

  std::string pool_;
  std::vector<Span> spans_;
  std::vector<TokenKind> kinds_;
  std::vector<float> scores_;  // empty while every score is 0
  std::vector<Slot> slots_;    // a power of two
  size_t used_slots_ = 0;
  size_t longest_ = 0;
};

/// The spelling of a byte token: "<0x0A>".
std::string byte_token(unsigned char byte);
/// The byte of a spelling such as "<0x0A>" (either case), or nothing.
std::optional<unsigned char> parse_byte_token(std::string_view text);

/// A fast 64-bit hash of a short text; the same in every process of one build, not meant for files.
uint64_t hash_text(std::string_view text);

}  // namespace hearth::text
