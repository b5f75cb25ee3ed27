// Byte-pair encoding by merge rules, and SentencePiece's variant where scores take the place of rules.
#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "core/base/error.h"
#include "text/tokenize/merge.h"
#include "text/tokenize/model.h"
#include "text/unicode.h"

namespace hearth::text {
namespace {

// (left id, right id) -> (rank, merged id), open addressing.
class MergeTable {
 public:
  struct Entry {
    int32_t left = -1, right = -1;
    uint32_t rank = 0;
    int32_t merged = -1;
  };

  explicit MergeTable(size_t rules) {
    size_t slots = 16;
    while (slots * 2 < rules * 3) slots *= 2;
    entries_.resize(slots);
  }

  void insert(Entry entry) {
    Entry& place = slot(entry.left, entry.right);
    if (place.left < 0) place = entry;  // a rule said twice keeps its first rank
  }

  size_t bytes() const { return entries_.capacity() * sizeof(Entry); }

  const Entry* find(int32_t left, int32_t right) const {
    const Entry& place = const_cast<MergeTable*>(this)->slot(left, right);
    return place.left < 0 ? nullptr : &place;
  }

 private:
  Entry& slot(int32_t left, int32_t right) {
    uint64_t key = static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
    size_t mask = entries_.size() - 1;
    for (size_t at = (key * 0x9E3779B97F4A7C15) >> 32 & mask;; at = (at + 1) & mask) {
      Entry& entry = entries_[at];
      if (entry.left < 0 || (entry.left == left && entry.right == right)) return entry;
    }
  }
  std::vector<Entry> entries_;
};

// Ids of <0x00> to <0xFF>; usable when all 256 exist.
struct ByteTokens {
  std::array<int32_t, 256> ids{};

  explicit ByteTokens(const Vocab& vocab) {
    for (int byte = 0; byte < 256; ++byte) {
      ids[static_cast<size_t>(byte)] = vocab.find(byte_token(static_cast<unsigned char>(byte)));
    }
  }
  bool cover(std::string_view text) const {
    return std::all_of(text.begin(), text.end(), [&](char c) { return at(c) >= 0; });
  }
  bool is_complete() const {
    return std::all_of(std::begin(ids), std::end(ids), [](int32_t id) { return id >= 0; });
  }
  int32_t at(char c) const { return ids[static_cast<unsigned char>(c)]; }
};

class Bpe final : public Model {
 public:
  Bpe(const Vocab& vocab, const std::vector<MergeRule>& rules, BpeOptions options)
      : vocab_(vocab), options_(std::move(options)), merges_(rules.size()), bytes_(vocab), cuts_(vocab) {
    uint32_t rank = 0;
    for (const MergeRule& rule : rules) merges_.insert(resolve(rule, rank++));
  }

  size_t fewest_tokens(std::string_view word) const override {
    constexpr size_t kGiant = 64 * 1024;
    return word.size() < kGiant ? 0 : known_bytes(word) / std::max<size_t>(vocab_.longest(), 1);
  }
  size_t bytes() const override { return merges_.bytes(); }

  void encode(std::string_view word, ModelScratch& scratch, std::vector<int32_t>& out) const override {
    if (options_.ignore_merges || (options_.whole_newline_runs && word.find_first_not_of('\n') == word.npos)) {
      if (int32_t id = vocab_.find_plain(word); id >= 0) return out.push_back(id);
    }
    bool may_cut = cuts_.enabled() && options_.end_suffix.empty() && options_.continuing_prefix.empty();
    while (!word.empty()) {
      size_t end = may_cut ? cuts_.first(word) : word.size();
      encode_part(word.substr(0, end), scratch, out);
      word.remove_prefix(end);
    }
  }

 private:
  MergeTable::Entry resolve(const MergeRule& rule, uint32_t rank) const {
    std::string joined(rule.left);
    std::string_view tail = rule.right;
    if (!options_.continuing_prefix.empty() && tail.starts_with(options_.continuing_prefix)) {
      tail.remove_prefix(options_.continuing_prefix.size());
    }
    joined += tail;
    MergeTable::Entry entry{vocab_.find(rule.left), vocab_.find(rule.right), rank, vocab_.find(joined)};
    if (entry.left >= 0 && entry.right >= 0 && entry.merged >= 0) return entry;
    std::string_view missing = entry.left < 0 ? rule.left : entry.right < 0 ? rule.right : std::string_view(joined);
    throw Error(Code::kCorruptFile,
                fmt::format("merge {} ('{}' + '{}') needs the token '{}', which the vocabulary lacks", rank, rule.left,
                            rule.right, missing));
  }

  void encode_part(std::string_view word, ModelScratch& scratch, std::vector<int32_t>& out) const {
    if (options_.end_suffix.empty() && options_.continuing_prefix.empty()) {
      if (sequence_length(static_cast<unsigned char>(word[0])) == word.size()) {  // one character: nothing to merge
        if (int32_t id = vocab_.find_plain(word); id >= 0) return out.push_back(id);
      }
    }
    fill_symbols(word, scratch.symbols);
    merge_all(scratch, [this](const Symbol& a, const Symbol& b, MergeCandidate& candidate) {
      const MergeTable::Entry* rule = merges_.find(a.id, b.id);
      if (!rule) return false;
      candidate.cost = rule->rank;
      candidate.id = rule->merged;
      return true;
    });
    for (const Symbol& symbol : scratch.symbols) {
      if (symbol.bytes > 0) out.push_back(symbol.id);
    }
  }

  // Bytes of characters the vocabulary spells; the others may be dropped or share one unknown token.
  size_t known_bytes(std::string_view word) const {
    if (options_.byte_fallback && bytes_.is_complete()) return word.size();
    std::array<size_t, 256> known{};  // of characters that are one byte
    for (size_t byte = 0; byte < 128; ++byte) {
      known[byte] = vocab_.find_plain(std::string(1, static_cast<char>(byte))) >= 0;
    }
    size_t sum = 0;
    for (size_t at = 0; at < word.size();) {
      const auto first = static_cast<unsigned char>(word[at]);
      const size_t bytes = std::min<size_t>(sequence_length(first), word.size() - at);
      sum += bytes == 1 ? known[first] : vocab_.find_plain(word.substr(at, bytes)) >= 0 ? bytes : 0;
      at += bytes;
    }
    return sum;
  }

  int32_t find_character(std::string_view character, bool is_first, bool is_last) const {
    if ((is_first || options_.continuing_prefix.empty()) && (!is_last || options_.end_suffix.empty())) {
      return vocab_.find_plain(character);
    }
    std::string spelling = is_first ? std::string() : options_.continuing_prefix;
    spelling += character;
    if (is_last) spelling += options_.end_suffix;
    return vocab_.find_plain(spelling);
  }

  void fill_symbols(std::string_view word, std::vector<Symbol>& symbols) const {
    symbols.clear();
    auto push = [&](size_t begin, size_t bytes, int32_t id) {
      symbols.push_back({.begin = static_cast<uint32_t>(begin), .bytes = static_cast<uint32_t>(bytes), .id = id});
    };
    bool after_unknown = false;
    for (size_t at = 0; at < word.size();) {
      size_t bytes = std::min<size_t>(sequence_length(static_cast<unsigned char>(word[at])), word.size() - at);
      std::string_view character = word.substr(at, bytes);
      int32_t id = find_character(character, at == 0, at + bytes == word.size());
      bool is_unknown = false;
      if (id >= 0) {
        push(at, bytes, id);
      } else if (options_.byte_fallback && bytes_.cover(character)) {
        for (size_t i = 0; i < bytes; ++i) push(at + i, 1, bytes_.at(word[at + i]));
      } else if (options_.unknown >= 0) {
        is_unknown = true;
        if (after_unknown && options_.fuse_unknown) {
          symbols.back().bytes += static_cast<uint32_t>(bytes);
        } else {
          push(at, bytes, options_.unknown);
        }
      }
      after_unknown = is_unknown;
      at += bytes;
    }
  }

  const Vocab& vocab_;
  BpeOptions options_;
  MergeTable merges_;
  ByteTokens bytes_;
  SafeCuts cuts_;
};

class ScoredBpe final : public Model {
 public:
  ScoredBpe(const Vocab& vocab, int32_t unknown) : vocab_(vocab), unknown_(unknown), bytes_(vocab), cuts_(vocab) {}

  size_t fewest_tokens(std::string_view word) const override {
    return bytes_.is_complete() ? word.size() / std::max<size_t>(vocab_.longest(), 1) : 0;
  }

  void encode(std::string_view word, ModelScratch& scratch, std::vector<int32_t>& out) const override {
    while (!word.empty()) {
      size_t end = cuts_.enabled() ? cuts_.first(word) : word.size();
      encode_part(word.substr(0, end), scratch, out);
      word.remove_prefix(end);
    }
  }

 private:
  // "<0x0A>" typed as text is six characters, not a byte.
  int32_t find_plain(std::string_view text) const {
    int32_t id = vocab_.find_plain(text);
    return id >= 0 && vocab_.kind(id) == TokenKind::kByte ? -1 : id;
  }

  void encode_part(std::string_view word, ModelScratch& scratch, std::vector<int32_t>& out) const {
    std::vector<Symbol>& symbols = scratch.symbols;
    symbols.clear();
    for (size_t at = 0; at < word.size();) {
      size_t bytes = std::min<size_t>(sequence_length(static_cast<unsigned char>(word[at])), word.size() - at);
      symbols.push_back({.begin = static_cast<uint32_t>(at), .bytes = static_cast<uint32_t>(bytes)});
      at += bytes;
    }
    merge_all(scratch, [&](const Symbol& a, const Symbol& b, MergeCandidate& candidate) {
      candidate.id = find_plain(word.substr(a.begin, a.bytes + b.bytes));
      if (candidate.id < 0) return false;
      candidate.cost = -static_cast<double>(vocab_.score(candidate.id));
      return true;
    });
    for (const Symbol& symbol : symbols) {
      if (symbol.bytes > 0) append(word.substr(symbol.begin, symbol.bytes), symbol.id, out);
    }
  }

  void append(std::string_view text, int32_t id, std::vector<int32_t>& out) const {
    if (id < 0) id = find_plain(text);
    if (id >= 0) return out.push_back(id);
    if (bytes_.cover(text)) {
      for (char c : text) out.push_back(bytes_.at(c));
    } else if (unknown_ >= 0) {
      out.push_back(unknown_);
    }
  }

  const Vocab& vocab_;
  int32_t unknown_;
  ByteTokens bytes_;
  SafeCuts cuts_;
};

}  // namespace

std::unique_ptr<const Model> make_bpe(const Vocab& vocab, const std::vector<MergeRule>& rules, BpeOptions options) {
  return std::make_unique<Bpe>(vocab, rules, std::move(options));
}

std::unique_ptr<const Model> make_scored_bpe(const Vocab& vocab, int32_t unknown) {
  return std::make_unique<ScoredBpe>(vocab, unknown);
}

}  // namespace hearth::text
