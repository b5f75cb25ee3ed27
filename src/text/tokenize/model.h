// The last stage of a tokenizer: one word (already normalised and cut) becomes token ids. Models are immutable and
// shared by threads; what a call needs to work lies in a ModelScratch with one owner. Every model holds a reference to
// the vocabulary that the tokenizer owns and that must outlive it. Special tokens never come out of plain text.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenize/vocab.h"

namespace hearth::text {

/// One link of the chain of symbols a merging model works on.
struct Symbol {
  uint32_t begin = 0, bytes = 0;  // bytes == 0: merged into the symbol before
  int32_t previous = -1, next = -1;
  int32_t id = -1;
};

/// A pair that may be merged: the smallest (cost, left) goes first.
struct MergeCandidate {
  double cost = 0;
  uint32_t left = 0, right = 0;
  uint32_t bytes = 0;  // of both: a candidate whose symbols have grown since is stale
  int32_t id = -1;
};

struct ModelScratch {
  std::vector<Symbol> symbols;
  std::vector<MergeCandidate> heap;
  std::function<bool()> is_cancelled;  // asked now and then inside a long word

  /// Throws Error{kCancelled} when nobody wants the result any more.
  void check_cancelled() const;
};

class Model {
 public:
  virtual ~Model() = default;
  virtual void encode(std::string_view word, ModelScratch& scratch, std::vector<int32_t>& out) const = 0;
  /// A lower bound of how many tokens a giant word becomes, without the work; 0 where there is none.
  virtual size_t fewest_tokens(std::string_view word) const { return 0; }
  /// Memory of its own tables, beside the vocabulary.
  virtual size_t bytes() const { return 0; }
};

/// Merge rules between spellings, as a file lists them: earlier lines go first.
struct MergeRule {
  std::string_view left, right;
};

struct BpeOptions {
  int32_t unknown = -1;
  bool fuse_unknown = false;
  bool byte_fallback = false;
  bool ignore_merges = false;         // a word that is a token stays whole
  bool whole_newline_runs = false;    // likewise for words of '\n' only
  std::string continuing_prefix, end_suffix;
};

/// Byte-pair merges by rank. Throws Error{kCorruptFile} when a rule names a spelling the vocabulary lacks.
std::unique_ptr<const Model> make_bpe(const Vocab& vocab, const std::vector<MergeRule>& rules, BpeOptions options);

/// SentencePiece BPE: neighbours whose joint spelling is a token merge, best score first; bytes for the rest.
std::unique_ptr<const Model> make_scored_bpe(const Vocab& vocab, int32_t unknown);

struct UnigramOptions {
  int32_t unknown = -1;
  bool byte_fallback = false;
  std::vector<double> scores;  // by id; the vocabulary's own (float) scores when empty
};

/// The likeliest split of a word (Viterbi). Throws Error{kCorruptFile} on an empty vocabulary.
std::unique_ptr<const Model> make_unigram(const Vocab& vocab, UnigramOptions options);

struct WordPieceOptions {
  int32_t unknown = -1;
  std::string continuing_prefix = "##";
  size_t longest_word = 100;  // code points; a longer word is unknown
};

/// Greedy longest match from the left.
std::unique_ptr<const Model> make_wordpiece(const Vocab& vocab, WordPieceOptions options);

/// WordPiece as GGUF files spell it: words begin with U+2581 and longest matches follow each other.
std::unique_ptr<const Model> make_phantom_wordpiece(const Vocab& vocab, int32_t unknown);

/// Whole words only.
std::unique_ptr<const Model> make_word_level(const Vocab& vocab, int32_t unknown);

}  // namespace hearth::text
