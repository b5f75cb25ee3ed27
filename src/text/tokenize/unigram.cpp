// Unigram language model: of all ways to write a word with pieces of the vocabulary, the one with the best sum of
// log probabilities. Sums are doubles, as in the `tokenizers` library, so that ties fall the same way.
#include <algorithm>
#include <limits>

#include "core/base/error.h"
#include "text/tokenize/model.h"
#include "text/tokenize/trie.h"
#include "text/unicode.h"

namespace hearth::text {
namespace {

constexpr double kUnknownPenalty = 10;

class Unigram final : public Model {
 public:
  Unigram(const Vocab& vocab, UnigramOptions options) : vocab_(vocab), options_(std::move(options)) {
    double lowest = std::numeric_limits<double>::infinity();
    for (int32_t id = 0; id < vocab.size(); ++id) {
      TokenKind kind = vocab.kind(id);
      bool is_piece = kind == TokenKind::kNormal || kind == TokenKind::kAdded || kind == TokenKind::kUnused;
      if (!options_.scores.empty()) is_piece = kind != TokenKind::kMissing;
      if (!is_piece || vocab.text(id).empty()) continue;
      pieces_.insert(vocab.text(id), id);
      if (kind == TokenKind::kNormal || !options_.scores.empty()) lowest = std::min(lowest, score(id));
    }
    if (pieces_.empty()) throw Error(Code::kCorruptFile, "a unigram vocabulary without pieces");
    unknown_score_ = lowest - kUnknownPenalty;
  }

  size_t bytes() const override { return pieces_.bytes() + options_.scores.capacity() * sizeof(double); }

  void encode(std::string_view word, ModelScratch&, std::vector<int32_t>& out) const override {
    std::vector<Best> best = best_paths(word);
    std::vector<Span> path;  // from the end
    for (size_t end = word.size(); end > 0; end = best[end].begin) {
      bool is_unknown = best[end].id == options_.unknown || best[end].id < 0;
      if (is_unknown && !path.empty() && path.back().is_unknown) {
        path.back().begin = best[end].begin;
      } else {
        path.push_back({best[end].begin, static_cast<uint32_t>(end), best[end].id, is_unknown});
      }
    }
    for (auto span = path.rbegin(); span != path.rend(); ++span) {
      append(word.substr(span->begin, span->end - span->begin), *span, out);
    }
  }

 private:
  struct Best {
    double score = -std::numeric_limits<double>::infinity();
    uint32_t begin = 0;
    int32_t id = -1;
    bool is_reached = false;
  };
  struct Span {
    uint32_t begin, end;
    int32_t id;
    bool is_unknown;
  };

  double score(int32_t id) const {
    if (!options_.scores.empty()) return options_.scores[static_cast<size_t>(id)];
    return vocab_.kind(id) == TokenKind::kAdded ? 0 : static_cast<double>(vocab_.score(id));
  }

  std::vector<Best> best_paths(std::string_view word) const {
    std::vector<Best> best(word.size() + 1);
    best[0] = {0, 0, -1, true};
    auto offer = [&](size_t begin, size_t end, int32_t id, double piece_score) {
      double total = best[begin].score + piece_score;
      if (!best[end].is_reached || total > best[end].score) {
        best[end] = {total, static_cast<uint32_t>(begin), id, true};
      }
    };
    for (size_t begin = 0; begin < word.size();) {
      size_t announced = sequence_length(static_cast<unsigned char>(word[begin]));
      size_t character = std::min(announced, word.size() - begin);
      bool has_single = false;
      uint32_t node = Trie::kRoot;
      for (size_t end = begin; end < word.size();) {
        node = pieces_.child(node, static_cast<unsigned char>(word[end++]));
        if (node == Trie::kNone) break;
        int32_t id = pieces_.value(node);
        if (id < 0 || vocab_.is_special(id)) continue;
        offer(begin, end, id, score(id));
        has_single = has_single || end - begin == character;
      }
      if (!has_single) offer(begin, begin + character, options_.unknown, unknown_score_);
      begin += character;
    }
    return best;
  }

  void append(std::string_view text, const Span& span, std::vector<int32_t>& out) const {
    if (!span.is_unknown) return out.push_back(span.id);
    if (int32_t id = vocab_.find_plain(text); id >= 0) return out.push_back(id);
    if (options_.byte_fallback && append_bytes(text, out)) return;
    if (options_.unknown >= 0) out.push_back(options_.unknown);
  }

  bool append_bytes(std::string_view text, std::vector<int32_t>& out) const {
    size_t before = out.size();
    for (char c : text) {
      int32_t id = vocab_.find(byte_token(static_cast<unsigned char>(c)));
      if (id < 0) return out.resize(before), false;
      out.push_back(id);
    }
    return true;
  }

  const Vocab& vocab_;
  UnigramOptions options_;
  Trie pieces_;
  double unknown_score_ = 0;
};

}  // namespace

std::unique_ptr<const Model> make_unigram(const Vocab& vocab, UnigramOptions options) {
  return std::make_unique<Unigram>(vocab, std::move(options));
}

}  // namespace hearth::text
