#include "text/tokenize/tokenizer.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/check.h"
#include "core/base/units.h"
#include "text/tokenize/tokenizer_parts.h"

namespace hearth::text {
namespace {

constexpr size_t kLongestText = size_t{1} << 30;

// Remembers what recent words became: as a stretch of the output itself, so a hit costs one copy of a few ids.
class WordCache {
 public:
  explicit WordCache(size_t text_bytes) {
    size_t slots = 64;
    while (slots < text_bytes / 8 && slots < 16384) slots *= 2;
    entries_.resize(slots);
  }

  bool replay(std::string_view word, std::vector<int32_t>& out) {
    Entry& entry = slot(word);
    if (entry.word != word) return false;
    for (uint32_t i = 0; i < entry.count; ++i) out.push_back(out[entry.first + i]);
    return true;
  }

  void remember(std::string_view word, size_t first, size_t count) {
    slot(word) = {word, static_cast<uint32_t>(first), static_cast<uint32_t>(count)};
  }

 private:
  struct Entry {
    std::string_view word;  // never empty when used: words are not
    uint32_t first = 0, count = 0;
  };
  Entry& slot(std::string_view word) { return entries_[hash_text(word) & (entries_.size() - 1)]; }
  std::vector<Entry> entries_;
};

// One call of encode(): what its steps share.
class Encoding {
 public:
  Encoding(const TokenizerParts& parts, const EncodeOptions& options) : parts_(parts), options_(options) {
    model_scratch_.is_cancelled = options.is_cancelled;
  }

  void add_text(std::string_view text) {
    const bool parse_special = options_.parse_special;
    std::vector<Fragment> fragments;
    parts_.added.partition(text, parse_special, fragments);
    bool at_start = true;
    for (const Fragment& fragment : fragments) {
      if (fragment.id >= 0) {
        ids.push_back(fragment.id);
        at_start = parts_.prefix_space_after_special;
      } else {
        add_fragment(fragment.text, parse_special, at_start);
        at_start = false;
      }
    }
  }

  std::vector<int32_t> ids;

 private:
  void add_fragment(std::string_view raw, bool parse_special, bool at_start) {
    std::string normalized;
    std::string_view text = raw;
    if (!parts_.normalizer.empty()) text = normalized = parts_.normalizer.apply(raw, regex_scratch_);
    if (parts_.added_normalized.empty()) return add_words(std::string(text), at_start);
    std::vector<Fragment> fragments;
    parts_.added_normalized.partition(text, parse_special, fragments);
    for (const Fragment& fragment : fragments) {
      if (fragment.id >= 0) {
        ids.push_back(fragment.id);
      } else {
        add_words(std::string(fragment.text), at_start);
      }
      at_start = false;
    }
  }

  void add_words(std::string text, bool at_start) {
    Words words = parts_.pre_tokenizer.apply(std::move(text), at_start, regex_scratch_);
    WordCache cache(words.text.size());
    for (Span span : words.spans) {
      constexpr size_t kLongestCached = 64;
      std::string_view word = words.word(span);
      bool is_cached = word.size() <= kLongestCached;
      if (++words_ % 1024 == 0) model_scratch_.check_cancelled();
      refuse_too_many(word);
      if (is_cached && cache.replay(word, ids)) continue;
      size_t before = ids.size();
      parts_.model->encode(word, model_scratch_, ids);
      if (is_cached) cache.remember(word, before, ids.size() - before);
    }
  }

  void refuse_too_many(std::string_view next_word) const {
    const auto n = static_cast<int64_t>(ids.size() + parts_.model->fewest_tokens(next_word));
    if (n > options_.max_tokens) throw TooManyTokens(n, options_.max_tokens);
  }

  const TokenizerParts& parts_;
  const EncodeOptions& options_;
  uint64_t words_ = 0;
  RegexScratch regex_scratch_;
  ModelScratch model_scratch_;
};

}  // namespace

TooManyTokens::TooManyTokens(int64_t at_least, int64_t most)
    : Error(Code::kContextLength,
            fmt::format("the text has at least {} tokens, at most {} are wanted", at_least, most)),
      at_least_(at_least) {}

void ModelScratch::check_cancelled() const {
  if (is_cancelled && is_cancelled()) throw Error(Code::kCancelled, "nobody waits for these tokens any more");
}

Tokenizer::Tokenizer(std::unique_ptr<const TokenizerParts> parts) : parts_(std::move(parts)) {
  check(parts_ && parts_->model, "a tokenizer needs a model");
}

Tokenizer::~Tokenizer() = default;

std::vector<int32_t> Tokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  if (text.size() > kLongestText) {
    throw Error(Code::kInvalidArgument, fmt::format("a text of {} is too long to tokenize, at most {} are",
                                                    format_bytes(static_cast<int64_t>(text.size())),
                                                    format_bytes(static_cast<int64_t>(kLongestText))));
  }
  std::string repaired;
  if (!is_valid_utf8(text)) text = repaired = to_valid_utf8(text);
  Encoding encoding(*parts_, options);
  if (options.add_special) encoding.ids = parts_->prefix;
  encoding.add_text(text);
  if (options.add_special) encoding.ids.insert(encoding.ids.end(), parts_->suffix.begin(), parts_->suffix.end());
  return std::move(encoding.ids);
}

std::string Tokenizer::decode(std::span<const int32_t> ids, DecodeOptions options) const {
  StreamDecoder stream(*this, options);
  std::string text;
  for (int32_t id : ids) text += stream.push(id);
  return text += stream.flush();
}

std::string Tokenizer::piece(int32_t id) const {
  if (!parts_->vocab.has(id)) return {};
  TokenKind kind = parts_->vocab.kind(id);
  bool is_raw = parts_->decodes_added_raw && (kind == TokenKind::kControl || kind == TokenKind::kAdded);
  return is_raw ? std::string(token_text(id)) : parts_->decoder.decode(token_text(id), false);
}

std::string_view Tokenizer::token_text(int32_t id) const {
  return parts_->vocab.has(id) ? parts_->vocab.text(id) : std::string_view();
}

std::optional<int32_t> Tokenizer::find(std::string_view token_text) const {
  int32_t id = parts_->vocab.find(token_text);
  return id < 0 ? std::nullopt : std::optional(id);
}

bool Tokenizer::is_special(int32_t id) const {
  return parts_->vocab.has(id) && parts_->vocab.is_special(id);
}

bool Tokenizer::is_end(int32_t id) const { return std::binary_search(parts_->ends.begin(), parts_->ends.end(), id); }
const std::vector<int32_t>& Tokenizer::end_ids() const { return parts_->ends; }
int Tokenizer::vocab_size() const { return parts_->vocab.size(); }
std::optional<int32_t> Tokenizer::bos() const { return parts_->bos < 0 ? std::nullopt : std::optional(parts_->bos); }
std::optional<int32_t> Tokenizer::eos() const { return parts_->eos < 0 ? std::nullopt : std::optional(parts_->eos); }
bool Tokenizer::adds_bos() const { return !parts_->prefix.empty() && parts_->prefix[0] == parts_->bos; }
bool Tokenizer::adds_eos() const { return !parts_->suffix.empty() && parts_->suffix.back() == parts_->eos; }
int64_t Tokenizer::bytes() const {
  const TokenizerParts& p = *parts_;
  return static_cast<int64_t>(p.vocab.bytes() + p.added.bytes() + p.added_normalized.bytes() + p.model->bytes() +
                              p.chat_template.capacity() + sizeof(TokenizerParts));
}

const std::string& Tokenizer::chat_template() const { return parts_->chat_template; }

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, DecodeOptions options)
    : tokenizer_(&tokenizer), options_(options), is_first_(options.at_start),
      front_left_(options.at_start ? tokenizer.parts_->decoder.front_count() : 0) {}

std::string StreamDecoder::push(int32_t id) {
  if (options_.skip_special && tokenizer_->is_special(id)) return {};
  if (tokenizer_->token_text(id).empty()) return {};
  const TokenizerParts& parts = *tokenizer_->parts_;
  bool is_added = parts.vocab.kind(id) == TokenKind::kControl || parts.vocab.kind(id) == TokenKind::kAdded;
  bool is_plain = !(parts.decodes_added_raw && is_added);
  std::string bytes = is_first_ && is_plain ? parts.decoder.decode(tokenizer_->token_text(id), true)
                                            : tokenizer_->piece(id);
  is_first_ = false;
  if (front_left_ > 0) bytes.erase(0, parts.decoder.front_bytes(bytes, front_left_));
  held_ += bytes;
  size_t pending = pending_utf8_bytes(held_);
  std::string ready = to_valid_utf8(std::string_view(held_).substr(0, held_.size() - pending));
  held_.erase(0, held_.size() - pending);
  return ready;
}

std::string StreamDecoder::flush() {
  std::string rest = to_valid_utf8(held_);
  held_.clear();
  is_first_ = false;
  front_left_ = 0;
  return rest;
}

const std::vector<std::string_view>& ending_names() {
  static const std::vector<std::string_view> names = {
      "<|eot_id|>", "<|im_end|>", "<|end|>", "<|return|>", "<|call|>", "<|calls|>", "<|flush|>", "<end_of_turn>",
      "<|endoftext|>", "</s>", "<|eom_id|>", "<EOT>", "_<EOT>", "[EOT]", "[EOS]", "<|end_of_text|>",
      "<end_of_utterance>", "<eos>", "<turn|>", "<|tool_response>", "<｜end▁of▁sentence｜>", "[e~[", "<|eot|>",
      "<|END_OF_TURN_TOKEN|>", "<|endofturn|>", "<|eom|>"};
  return names;
}

void finish(TokenizerParts& parts) {
  const Vocab& vocab = parts.vocab;
  auto find_ending = [&](std::string_view name) {
    int32_t id = vocab.find(name);
    if (id < 0) return -1;
    // Some converters mark such tokens as user-defined; a user-defined </s>, though, is a tag of HTML.
    bool is_added = vocab.kind(id) == TokenKind::kAdded && name != "</s>";
    return is_added || vocab.kind(id) == TokenKind::kControl ? id : -1;
  };
  if (parts.eos >= 0) parts.ends.push_back(parts.eos);
  for (std::string_view name : ending_names()) {
    if (int32_t id = find_ending(name); id >= 0) parts.ends.push_back(id);
  }
  auto drop = [&](std::string_view name) {
    int32_t id = find_ending(name);
    if (id != parts.eos) std::erase(parts.ends, id);
  };
  // Where messages end with these tokens, <|end|> only closes one part of a message.
  bool has_call_tokens = (find_ending("<|return|>") >= 0 && find_ending("<|call|>") >= 0) ||
                         (find_ending("<|calls|>") >= 0 && find_ending("<|flush|>") >= 0);
  if (has_call_tokens) drop("<|end|>");
  // Here </s> is an HTML tag even where it is marked as control.
  if (find_ending("<|tool_response>") >= 0 || find_ending("<|plamo:eos|>") >= 0) drop("</s>");
  std::sort(parts.ends.begin(), parts.ends.end());
  parts.ends.erase(std::unique(parts.ends.begin(), parts.ends.end()), parts.ends.end());
  parts.vocab.freeze();
}

}  // namespace hearth::text
