// Text <-> token ids, as a model's own files define them. A Tokenizer is built once from GGUF metadata or from a
// tokenizer.json, is immutable and shared by threads; encode() and decode() keep no state between calls.
// Texts may hold any bytes: malformed UTF-8 is read as U+FFFD. Files are not trusted: whatever a file says wrongly, or
// that is not supported, throws Error{kCorruptFile or kUnsupported} naming the part and what is known.
#pragma once
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/error.h"
#include "core/base/value.h"

namespace hearth::text {

struct EncodeOptions {
  bool add_special = true;     // BOS, EOS and the like, as the model wants them around a text
  bool parse_special = false;  // true: special tokens spelled in the text are recognised (templates);
                               // false: they stay plain text (what a user typed)
  int64_t max_tokens = std::numeric_limits<int64_t>::max();  // a longer text is given up: TooManyTokens
  std::function<bool()> is_cancelled;  // asked every few milliseconds; true ends the call with Error{kCancelled}
};

/// A text has more tokens than EncodeOptions::max_tokens; how many is not known, only a lower bound.
class TooManyTokens : public Error {
 public:
  TooManyTokens(int64_t at_least, int64_t most);
  int64_t at_least() const { return at_least_; }

 private:
  int64_t at_least_;
};

struct DecodeOptions {
  bool skip_special = true;
  bool at_start = true;  // the ids begin a text: a space that encoding put in front is taken off
};

struct TokenizerParts;  // tokenizer_parts.h: what the builders fill in

class Tokenizer {
 public:
  /// From an object with the keys of a GGUF file ("tokenizer.ggml.model", ...).
  static std::shared_ptr<const Tokenizer> from_gguf(const Value& metadata);
  /// From tokenizer.json and, where there is one, tokenizer_config.json (else null).
  static std::shared_ptr<const Tokenizer> from_json(const Value& tokenizer, const Value& config = {});

  explicit Tokenizer(std::unique_ptr<const TokenizerParts> parts);
  ~Tokenizer();

  /// Throws Error{kInvalidArgument} for a text above 1 GiB or one on which the model's own pattern explodes.
  std::vector<int32_t> encode(std::string_view text, const EncodeOptions& options = {}) const;

  /// Valid UTF-8; the same text a StreamDecoder gives. Ids outside the vocabulary stand for nothing.
  std::string decode(std::span<const int32_t> ids, DecodeOptions options = {}) const;
  std::string decode(std::span<const int32_t> ids, bool skip_special) const {
    return decode(ids, DecodeOptions{.skip_special = skip_special});
  }

  /// Raw bytes this token adds inside a text; they need not be whole characters.
  std::string piece(int32_t id) const;
  /// The spelling in the vocabulary ("Ġhello", "<|im_end|>"); empty for ids outside it. Lives as long as this object.
  std::string_view token_text(int32_t id) const;
  std::optional<int32_t> find(std::string_view token_text) const;

  bool is_special(int32_t id) const;
  /// Ends generation: EOS, EOT, EOM and well-known names of such tokens.
  bool is_end(int32_t id) const;
  const std::vector<int32_t>& end_ids() const;

  int vocab_size() const;  // largest id + 1
  std::optional<int32_t> bos() const;
  std::optional<int32_t> eos() const;
  bool adds_bos() const;  // encode() with add_special begins with bos()
  bool adds_eos() const;
  /// Memory of its tables: spellings, merges, scores, added tokens; within a few per cent of all it takes.
  int64_t bytes() const;
  /// The model's own chat template (Jinja text), empty when the file has none.
  const std::string& chat_template() const;

 private:
  friend class StreamDecoder;
  std::unique_ptr<const TokenizerParts> parts_;
};

/// Turns tokens into text as they arrive. A character is given out only when all its bytes are there; bytes that can
/// no longer become one come out as U+FFFD, so nothing is lost. One owner; the tokenizer must outlive it.
class StreamDecoder {
 public:
  explicit StreamDecoder(const Tokenizer& tokenizer, DecodeOptions options = {});

  std::string push(int32_t id);
  /// What is still held back, as U+FFFD; afterwards the decoder goes on as in the middle of a text.
  std::string flush();

 private:
  const Tokenizer* tokenizer_;
  DecodeOptions options_;
  std::string held_;  // the beginning of a character, at most 3 bytes
  bool is_first_;
  size_t front_left_;
};

}  // namespace hearth::text
