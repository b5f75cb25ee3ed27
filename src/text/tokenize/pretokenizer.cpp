#include "text/tokenize/pretokenizer.h"

#include <optional>

#include "text/tokenize/byte_alphabet.h"
#include "text/tokenize/digit_groups.h"
#include "text/unicode.h"

namespace hearth::text {
namespace {

struct Piece {
  Span span;
  bool is_match = false;
};

Span span(size_t begin, size_t end) { return {static_cast<uint32_t>(begin), static_cast<uint32_t>(end)}; }

// Matches and the gaps between them, in order, relative to `word`.
void find_pieces(const Regex& regex, std::string_view word, RegexScratch& scratch, std::vector<Piece>& pieces) {
  size_t done = 0, from = 0;
  std::optional<size_t> last_end;
  for (Match match; from <= word.size() && regex.search(word, from, scratch, match);) {
    bool is_empty = match.begin == match.end;
    from = match.end;
    if (is_empty) from += match.end < word.size() ? sequence_length(static_cast<unsigned char>(word[match.end])) : 1;
    if (is_empty && last_end == match.end) continue;  // an empty match right behind the last one does not count
    if (done != match.begin) pieces.push_back({span(done, match.begin), false});
    pieces.push_back({span(match.begin, match.end), true});
    done = match.end;
    last_end = match.end;
  }
  if (done != word.size()) pieces.push_back({span(done, word.size()), false});
}

void find_pieces(const DigitGroups& groups, std::string_view word, RegexScratch& scratch, std::vector<Piece>& pieces) {
  size_t done = 0;
  for (const Match& match : groups.find(word, scratch)) {
    if (done != match.begin) pieces.push_back({span(done, match.begin), false});
    pieces.push_back({span(match.begin, match.end), true});
    done = match.end;
  }
  if (done != word.size()) pieces.push_back({span(done, word.size()), false});
}

void find_pieces(const std::string& literal, std::string_view word, RegexScratch&, std::vector<Piece>& pieces) {
  size_t done = 0;
  for (size_t at; !literal.empty() && (at = word.find(literal, done)) != std::string_view::npos;) {
    if (at != done) pieces.push_back({span(done, at), false});
    pieces.push_back({span(at, at + literal.size()), true});
    done = at + literal.size();
  }
  if (done != word.size()) pieces.push_back({span(done, word.size()), false});
}

// Appends the words the pieces make, shifted by `base`.
void join_pieces(const std::vector<Piece>& pieces, SplitBehavior behavior, uint32_t base, std::vector<Span>& out) {
  size_t first = out.size();
  auto push = [&](Span s) { out.push_back({s.begin + base, s.end + base}); };
  bool before_matches = false;
  switch (behavior) {
    case SplitBehavior::kIsolated:
    case SplitBehavior::kRemoved:
      for (const Piece& piece : pieces) {
        if (behavior == SplitBehavior::kIsolated || !piece.is_match) push(piece.span);
      }
      break;
    case SplitBehavior::kMergedWithPrevious:
    case SplitBehavior::kContiguous:
      for (const Piece& piece : pieces) {
        bool joins = behavior == SplitBehavior::kContiguous ? piece.is_match == before_matches
                                                            : piece.is_match && !before_matches;
        if (joins && out.size() > first) {
          out.back().end = piece.span.end + base;
        } else {
          push(piece.span);
        }
        before_matches = piece.is_match;
      }
      break;
    case SplitBehavior::kMergedWithNext:
      for (size_t i = 0; i < pieces.size(); ++i) {
        // A match begins the word of the piece behind it, unless that piece is a match too.
        bool joins = i > 0 && pieces[i - 1].is_match && !pieces[i].is_match;
        if (joins) {
          out.back().end = pieces[i].span.end + base;
        } else {
          push(pieces[i].span);
        }
      }
      break;
  }
  std::erase_if(out, [](Span s) { return s.begin == s.end; });
}

template <class Pattern>
class Split final : public PreTokenizer::Step {
 public:
  Split(Pattern pattern, SplitBehavior behavior, bool invert)
      : pattern_(std::move(pattern)), behavior_(behavior), invert_(invert) {}

  void apply(Words& words, RegexScratch& scratch) const override {
    std::vector<Span> out;
    out.reserve(words.spans.size() * 2 + words.text.size() / 5);
    std::vector<Piece> pieces;
    std::vector<Span> joined;
    for (Span s : words.spans) {
      pieces.clear(), joined.clear();
      find_pieces(pattern_, words.word(s), scratch, pieces);
      if (invert_) {
        for (Piece& piece : pieces) piece.is_match = !piece.is_match;
      }
      join_pieces(pieces, behavior_, s.begin, joined);
      out.insert(out.end(), joined.begin(), joined.end());
    }
    words.spans = std::move(out);
  }

 private:
  Pattern pattern_;
  SplitBehavior behavior_;
  bool invert_;
};

// Writes every word anew: `write(out, word, index)` appends its new form.
template <class Write>
void rewrite(Words& words, Write write) {
  std::string text;
  text.reserve(words.text.size() + words.text.size() / 2);
  size_t index = 0;
  for (Span& s : words.spans) {
    size_t begin = text.size();
    write(text, words.word(s), index++);
    s = span(begin, text.size());
  }
  words.text = std::move(text);
}

class ByteLevel final : public PreTokenizer::Step {
 public:
  ByteLevel(bool prefix_space, bool use_regex) : prefix_space_(prefix_space) {
    if (use_regex) regex_ = split(kGpt2Pattern);
  }

  void apply(Words& words, RegexScratch& scratch) const override {
    if (prefix_space_) {
      rewrite(words, [](std::string& out, std::string_view word, size_t) {
        if (!word.starts_with(' ')) out += ' ';
        out += word;
      });
    }
    if (regex_) regex_->apply(words, scratch);
    rewrite(words, [](std::string& out, std::string_view word, size_t) { append_byte_alphabet(out, word); });
  }

 private:
  bool prefix_space_;
  PreTokenizer::StepPtr regex_;
};

class Metaspace final : public PreTokenizer::Step {
 public:
  Metaspace(std::string mark, PrependScheme scheme, bool splits) : mark_(std::move(mark)), scheme_(scheme) {
    if (splits) split_ = split_literal(mark_, SplitBehavior::kMergedWithNext, false);
  }

  void apply(Words& words, RegexScratch& scratch) const override {
    bool at_start = words.at_start;
    rewrite(words, [&](std::string& out, std::string_view word, size_t index) {
      bool is_first = index == 0 && at_start;
      bool has_mark = word.starts_with(' ') || word.starts_with(mark_);
      bool prepends = scheme_ == PrependScheme::kDummy ? is_first
                      : scheme_ == PrependScheme::kFirst ? is_first && !has_mark
                                                         : scheme_ == PrependScheme::kAlways && !has_mark;
      if (prepends) out += mark_;
      for (char c : word) {
        if (c == ' ') {
          out += mark_;
        } else {
          out += c;
        }
      }
    });
    if (split_) split_->apply(words, scratch);
  }

 private:
  std::string mark_;
  PrependScheme scheme_;
  PreTokenizer::StepPtr split_;
};

}  // namespace

Words PreTokenizer::apply(std::string text, bool at_start, RegexScratch& scratch) const {
  Words words{.text = std::move(text), .spans = {}, .at_start = at_start};
  if (words.text.empty()) return words;
  words.spans.push_back(span(0, words.text.size()));
  for (const StepPtr& step : steps_) step->apply(words, scratch);
  return words;
}

PreTokenizer::StepPtr split(std::string_view pattern, SplitBehavior behavior, bool invert) {
  if (std::optional<DigitGroups> groups = DigitGroups::from_pattern(pattern)) {
    return std::make_unique<Split<DigitGroups>>(std::move(*groups), behavior, invert);
  }
  return std::make_unique<Split<Regex>>(Regex(pattern), behavior, invert);
}

PreTokenizer::StepPtr split_literal(std::string literal, SplitBehavior behavior, bool invert) {
  return std::make_unique<Split<std::string>>(std::move(literal), behavior, invert);
}

PreTokenizer::StepPtr byte_level(bool prefix_space, bool use_regex) {
  return std::make_unique<ByteLevel>(prefix_space, use_regex);
}

PreTokenizer::StepPtr metaspace(std::string mark, PrependScheme scheme, bool splits) {
  return std::make_unique<Metaspace>(std::move(mark), scheme, splits);
}

}  // namespace hearth::text
