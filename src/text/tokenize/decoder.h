// Token spelling -> the bytes it stands for. Immutable, shared by threads. Every step works on one token alone, so a
// stream and a whole text decode alike; only the very first token of a text may differ (a leading space goes away).
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::text {

class Decoder {
 public:
  class Step {
   public:
    virtual ~Step() = default;
    virtual std::string apply(std::string token, bool is_first) const = 0;
  };
  using StepPtr = std::unique_ptr<const Step>;

  void add(StepPtr step) { steps_.push_back(std::move(step)); }
  /// Characters `c` that vanish, up to `count`, from the very front of a text.
  void trim_front(char c, size_t count) { front_ = c, front_count_ = count; }
  /// Put between tokens (files without a decoder).
  void separate_with(std::string separator) { separator_ = std::move(separator); }

  /// Bytes of a token in a text; raw bytes, which need not be whole characters.
  std::string decode(std::string_view spelling, bool is_first) const;
  /// What to take off a text that begins with `text`; `left` counts what trim_front still allows.
  size_t front_bytes(std::string_view text, size_t& left) const;
  size_t front_count() const { return front_count_; }

 private:
  std::vector<StepPtr> steps_;
  std::string separator_;
  char front_ = ' ';
  size_t front_count_ = 0;
};

Decoder::StepPtr decode_byte_level();
Decoder::StepPtr decode_byte_fallback();
Decoder::StepPtr decode_replace(std::string from, std::string to);
/// Marks become spaces; the first token loses its marks when encoding prepended one.
Decoder::StepPtr decode_metaspace(std::string mark, bool was_prepended);
Decoder::StepPtr decode_strip(std::string content, size_t start, size_t stop);
Decoder::StepPtr decode_wordpiece(std::string prefix, bool clean_up);
Decoder::StepPtr decode_bpe_suffix(std::string suffix);

}  // namespace hearth::text
