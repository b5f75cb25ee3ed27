// What happens to a text before it is cut into words: Unicode forms, case, accents, replacements. A Normalizer is a
// list of steps, immutable and shared by threads. Input and output are valid UTF-8.
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/tokenize/charsmap.h"
#include "text/tokenize/regex.h"
#include "text/unicode.h"

namespace hearth::text {

struct BertOptions {
  bool clean_text = true, handle_chinese_chars = true, strip_accents = true, lowercase = true;
};

class Normalizer {
 public:
  class Step {
   public:
    virtual ~Step() = default;
    virtual std::string apply(std::string text, RegexScratch& scratch) const = 0;
  };
  using StepPtr = std::unique_ptr<const Step>;

  void add(StepPtr step) { steps_.push_back(std::move(step)); }
  bool empty() const { return steps_.empty(); }
  std::string apply(std::string_view text, RegexScratch& scratch) const;

 private:
  std::vector<StepPtr> steps_;
};

Normalizer::StepPtr unicode_form(NormalForm form);
Normalizer::StepPtr lowercase();
Normalizer::StepPtr strip_accents();  // removes every mark; the text should be decomposed before
Normalizer::StepPtr strip_spaces(bool left, bool right);
Normalizer::StepPtr prepend(std::string text);  // leaves an empty text alone
Normalizer::StepPtr replace_text(std::string from, std::string to);
Normalizer::StepPtr replace_regex(Regex pattern, std::string to);
Normalizer::StepPtr nmt();
Normalizer::StepPtr bert(BertOptions options);
Normalizer::StepPtr byte_level_alphabet();
Normalizer::StepPtr precompiled(Charsmap map);
/// SentencePiece's own order for unigram models in GGUF: map, then join, trim and escape spaces.
struct SentencePieceOptions {
  bool add_prefix = true, remove_extra_spaces = true;
};
Normalizer::StepPtr sentencepiece(Charsmap map, SentencePieceOptions options);

}  // namespace hearth::text
