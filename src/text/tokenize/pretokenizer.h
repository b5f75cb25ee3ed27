// Cuts a normalised text into the words a model works on. A PreTokenizer is a list of steps, immutable and shared by
// threads; each step cuts or rewrites the words of the step before. Words are spans of one text buffer.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenize/regex.h"

namespace hearth::text {

struct Span {
  uint32_t begin = 0, end = 0;
};

struct Words {
  std::string text;
  std::vector<Span> spans;
  bool at_start = true;  // the first word begins where the whole input began

  std::string_view word(Span span) const { return std::string_view(text).substr(span.begin, span.end - span.begin); }
};

/// What becomes of the matches of a split.
enum class SplitBehavior { kIsolated, kRemoved, kMergedWithPrevious, kMergedWithNext, kContiguous };
/// kFirst and kAlways leave a word alone that begins with a space or mark already; kDummy (first word only) does not.
enum class PrependScheme { kFirst, kNever, kAlways, kDummy };

class PreTokenizer {
 public:
  class Step {
   public:
    virtual ~Step() = default;
    virtual void apply(Words& words, RegexScratch& scratch) const = 0;
  };
  using StepPtr = std::unique_ptr<const Step>;

  void add(StepPtr step) { steps_.push_back(std::move(step)); }
  bool empty() const { return steps_.empty(); }
  /// The whole of `text` (valid UTF-8) as words; empty words are dropped.
  Words apply(std::string text, bool at_start, RegexScratch& scratch) const;

 private:
  std::vector<StepPtr> steps_;
};

PreTokenizer::StepPtr split(std::string_view pattern, SplitBehavior behavior = SplitBehavior::kIsolated,
                            bool invert = false);
PreTokenizer::StepPtr split_literal(std::string literal, SplitBehavior behavior, bool invert);
/// Writes every byte as a character of the byte alphabet; with `prefix_space` each word gets a leading space first.
PreTokenizer::StepPtr byte_level(bool prefix_space, bool use_regex);
/// Writes spaces as `mark` and, by the scheme, puts one in front; with `splits` each mark starts a word.
PreTokenizer::StepPtr metaspace(std::string mark, PrependScheme scheme, bool splits);

// Patterns that tokenizer.json components and families share.
inline constexpr std::string_view kGpt2Pattern =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kPunctuationPattern = R"([\p{P}!-/:-@\[-`{-~])";

}  // namespace hearth::text
