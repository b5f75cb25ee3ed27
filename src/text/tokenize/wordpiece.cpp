// Models that match whole stretches of a word against the vocabulary: WordPiece in two spellings, and WordLevel.
#include <algorithm>

#include "text/tokenize/model.h"
#include "text/unicode.h"

namespace hearth::text {
namespace {

// The longest token that starts `rest` behind `prefix`, as its bytes of `rest`; 0 when there is none.
struct Longest {
  size_t bytes = 0;
  int32_t id = -1;
};

Longest longest_match(const Vocab& vocab, std::string_view rest, std::string_view prefix, std::string& buffer) {
  size_t bytes = std::min(rest.size(), vocab.longest());
  for (; bytes > 0; --bytes) {
    bool splits_character = bytes < rest.size() && (static_cast<unsigned char>(rest[bytes]) & 0xC0) == 0x80;
    if (splits_character) continue;
    buffer.assign(prefix).append(rest.substr(0, bytes));
    if (int32_t id = vocab.find_plain(buffer); id >= 0) return {bytes, id};
  }
  return {};
}

class WordPiece final : public Model {
 public:
  WordPiece(const Vocab& vocab, WordPieceOptions options) : vocab_(vocab), options_(std::move(options)) {}

  void encode(std::string_view word, ModelScratch&, std::vector<int32_t>& out) const override {
    auto starts_character = [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; };
    auto characters = static_cast<size_t>(std::count_if(word.begin(), word.end(), starts_character));
    size_t before = out.size();
    std::string buffer;
    std::string_view rest = characters > options_.longest_word ? std::string_view() : word;
    while (!rest.empty()) {
      bool is_first = rest.size() == word.size();
      Longest match = longest_match(vocab_, rest, is_first ? std::string_view() : options_.continuing_prefix, buffer);
      if (match.id < 0) break;
      out.push_back(match.id);
      rest.remove_prefix(match.bytes);
    }
    if (!rest.empty() || out.size() == before) {
      out.resize(before);
      if (options_.unknown >= 0) out.push_back(options_.unknown);
    }
  }

 private:
  const Vocab& vocab_;
  WordPieceOptions options_;
};

class PhantomWordPiece final : public Model {
 public:
  PhantomWordPiece(const Vocab& vocab, int32_t unknown) : vocab_(vocab), unknown_(unknown) {}

  void encode(std::string_view word, ModelScratch&, std::vector<int32_t>& out) const override {
    std::string marked = "\xE2\x96\x81";
    marked += word;
    size_t before = out.size();
    std::string buffer;
    for (std::string_view rest = marked; !rest.empty();) {
      Longest match = longest_match(vocab_, rest, {}, buffer);
      if (match.id < 0) {
        out.resize(before);
        break;
      }
      out.push_back(match.id);
      rest.remove_prefix(match.bytes);
    }
    if (out.size() == before && unknown_ >= 0) out.push_back(unknown_);
  }

 private:
  const Vocab& vocab_;
  int32_t unknown_;
};

class WordLevel final : public Model {
 public:
  WordLevel(const Vocab& vocab, int32_t unknown) : vocab_(vocab), unknown_(unknown) {}

  void encode(std::string_view word, ModelScratch&, std::vector<int32_t>& out) const override {
    int32_t id = vocab_.find_plain(word);
    if (id < 0) id = unknown_;
    if (id >= 0) out.push_back(id);
  }

 private:
  const Vocab& vocab_;
  int32_t unknown_;
};

}  // namespace

std::unique_ptr<const Model> make_wordpiece(const Vocab& vocab, WordPieceOptions options) {
  return std::make_unique<WordPiece>(vocab, std::move(options));
}

std::unique_ptr<const Model> make_phantom_wordpiece(const Vocab& vocab, int32_t unknown) {
  return std::make_unique<PhantomWordPiece>(vocab, unknown);
}

std::unique_ptr<const Model> make_word_level(const Vocab& vocab, int32_t unknown) {
  return std::make_unique<WordLevel>(vocab, unknown);
}

}  // namespace hearth::text
