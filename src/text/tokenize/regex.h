// Patterns of tokenizer files on PCRE2. Those files are written for Oniguruma (Ruby syntax), so a pattern is first
// rewritten where the two differ: what \s, \w and \h mean, '$' at line ends, and "[a&&[^b]]".
// A Regex is immutable and shared by threads; every match works on a RegexScratch, which has one owner.
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace hearth::text {

class RegexScratch {
 public:
  RegexScratch();
  ~RegexScratch();
  RegexScratch(const RegexScratch&) = delete;
  RegexScratch& operator=(const RegexScratch&) = delete;

 private:
  friend class Regex;
  struct Buffers;
  std::unique_ptr<Buffers> buffers_;
};

struct Match {
  size_t begin = 0, end = 0;
};

class Regex {
 public:
  /// Throws Error{kCorruptFile} with the pattern, the place and the reason when it does not compile.
  explicit Regex(std::string_view pattern);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  /// First match at or after `start` in a valid UTF-8 text. Throws Error{kInvalidArgument} when the pattern needs more
  /// steps or memory on this text than the limits allow.
  bool search(std::string_view text, size_t start, RegexScratch& scratch, Match& match) const;

 private:
  struct Code;
  std::unique_ptr<Code> code_;
};

/// The pattern as PCRE2 understands it. Public for its tests.
std::string pcre2_pattern(std::string_view oniguruma);

}  // namespace hearth::text
