// A tokenizer from GGUF metadata: tokenizer.ggml.model says which kind, the other keys fill it.
#include <array>
#include <limits>

#include <fmt/format.h>

#include "core/base/error.h"
#include "core/base/log.h"
#include "text/tokenize/families.h"
#include "text/tokenize/tokenizer.h"
#include "text/tokenize/tokenizer_parts.h"

namespace hearth::text {
namespace {

constexpr std::string_view kMark = "\xE2\x96\x81";  // U+2581

// Reads the keys of one file; every complaint names its key.
class Metadata {
 public:
  explicit Metadata(const Value& object) : object_(object) {
    if (!object.is_object()) {
      throw Error(Code::kCorruptFile, fmt::format("GGUF metadata should be an object, got {}", object.kind_name()));
    }
  }

  const Value* find(std::string_view key) const { return object_.find(fmt::format("tokenizer.ggml.{}", key)); }

  template <class Read>
  auto read(std::string_view key, const Value& value, Read as) const {
    try {
      return as(value);
    } catch (const Error& error) {
      throw Error(Code::kCorruptFile, fmt::format("tokenizer.ggml.{}: {}", key, error.message()));
    }
  }

  std::string text(std::string_view key, std::string fallback) const {
    const Value* value = find(key);
    return value ? read(key, *value, [](const Value& v) { return v.as_string(); }) : fallback;
  }
  bool flag(std::string_view key, bool fallback) const {
    const Value* value = find(key);
    return value ? read(key, *value, [](const Value& v) { return v.as_bool(); }) : fallback;
  }
  const Value::List* list(std::string_view key) const {
    const Value* value = find(key);
    return value ? read(key, *value, [](const Value& v) { return &v.as_list(); }) : nullptr;
  }
  /// A token id inside the vocabulary, `fallback` when the key is missing or (as -1 and 2^32-1 say) unset.
  int32_t id(std::string_view key, int32_t fallback, const Vocab& vocab) const {
    const Value* value = find(key);
    if (!value) return vocab.has(fallback) ? fallback : -1;
    int64_t id = read(key, *value, [](const Value& v) { return v.as_int(); });
    if (id == -1 || id == std::numeric_limits<uint32_t>::max()) return -1;
    if (id < 0 || id >= vocab.size()) {
      throw Error(Code::kCorruptFile, fmt::format("tokenizer.ggml.{} is {}, expected 0 to {}", key, id,
                                                  vocab.size() - 1));
    }
    return static_cast<int32_t>(id);
  }

 private:
  const Value& object_;
};

TokenKind kind_of(int64_t type) {
  switch (type) {
    case 2: return TokenKind::kUnknown;
    case 3: return TokenKind::kControl;
    case 4: return TokenKind::kAdded;
    case 5: return TokenKind::kUnused;
    case 6: return TokenKind::kByte;
    default: return TokenKind::kNormal;
  }
}

void read_tokens(const Metadata& metadata, Vocab& vocab) {
  const Value::List* tokens = metadata.list("tokens");
  if (!tokens || tokens->empty()) throw Error(Code::kCorruptFile, "tokenizer.ggml.tokens is missing or empty");
  auto optional_list = [&](std::string_view key) {
    const Value::List* list = metadata.list(key);
    if (list && list->size() < tokens->size()) {
      throw Error(Code::kCorruptFile, fmt::format("tokenizer.ggml.{} has {} entries for {} tokens", key, list->size(),
                                                  tokens->size()));
    }
    return list;
  };
  const Value::List* scores = optional_list("scores");
  const Value::List* types = optional_list("token_type");
  vocab.reserve(tokens->size(), tokens->size() * 8);
  for (size_t i = 0; i < tokens->size(); ++i) {
    auto as_int = [](const Value& v) { return v.as_int(); };
    auto as_double = [](const Value& v) { return v.as_double(); };
    auto as_text = [](const Value& v) { return std::string_view(v.as_string()); };
    auto score = scores ? static_cast<float>(metadata.read("scores", (*scores)[i], as_double)) : 0.f;
    auto kind = types ? kind_of(metadata.read("token_type", (*types)[i], as_int)) : TokenKind::kNormal;
    std::string_view text = metadata.read("tokens", (*tokens)[i], as_text);
    auto id = static_cast<int32_t>(std::min<size_t>(i, Vocab::kMaxTokens));
    if (text.empty()) {
      vocab.add(id, fmt::format("[EMPTY_{}]", i), TokenKind::kUnused, score);  // some converters leave such holes
    } else {
      vocab.add(id, text, kind, score);
    }
  }
}

std::vector<MergeRule> read_merges(const Metadata& metadata) {
  const Value::List* lines = metadata.list("merges");
  if (!lines) throw Error(Code::kCorruptFile, "tokenizer.ggml.merges is missing; convert the model to GGUF anew");
  std::vector<MergeRule> rules;
  rules.reserve(lines->size());
  for (const Value& line : *lines) {
    auto as_text = [](const Value& v) { return std::string_view(v.as_string()); };
    std::string_view text = metadata.read("merges", line, as_text);
    size_t space = text.find(' ', 1);  // the first part may itself be a space
    if (text.empty() || space == text.npos || space + 1 == text.size()) {
      throw Error(Code::kCorruptFile, fmt::format("tokenizer.ggml.merges: '{}' is not two tokens with a space", text));
    }
    rules.push_back({text.substr(0, space), text.substr(space + 1)});
  }
  return rules;
}

std::string read_charsmap(const Metadata& metadata) {
  const Value* value = metadata.find("precompiled_charsmap");
  if (!value) return {};
  if (value->is_string()) return value->as_string();
  std::string bytes;
  for (const Value& byte : *metadata.list("precompiled_charsmap")) {
    int64_t number = metadata.read("precompiled_charsmap", byte, [](const Value& v) { return v.as_int(); });
    bytes.push_back(static_cast<char>(number));
  }
  return bytes;
}

void build_bpe(const Metadata& metadata, TokenizerParts& parts, bool is_gemma4, bool& adds_bos) {
  if (!is_gemma4 && !metadata.find("pre")) {
    log::warn("GGUF file without tokenizer.ggml.pre: words are cut by the 'default' patterns, which may not be the "
              "model's own");
  }
  Family family = make_family(is_gemma4 ? "gemma4" : metadata.text("pre", "default"));
  adds_bos = family.adds_bos;
  parts.pre_tokenizer = std::move(family.pre_tokenizer);
  if (family.composes) parts.normalizer.add(unicode_form(NormalForm::kNfc));
  if (family.escapes_spaces) parts.normalizer.add(replace_text(" ", std::string(kMark)));
  BpeOptions options{.ignore_merges = family.ignore_merges, .whole_newline_runs = family.whole_newline_runs};
  if (family.is_byte_level) {
    parts.decoder.add(decode_byte_level());
  } else {
    options.byte_fallback = true;
    options.unknown = metadata.id("unknown_token_id", -1, parts.vocab);
    options.fuse_unknown = true;
    parts.decoder.add(decode_replace(std::string(kMark), " "));
    parts.decoder.add(decode_byte_fallback());
  }
  parts.model = make_bpe(parts.vocab, read_merges(metadata), std::move(options));
}

void build_sentencepiece(const Metadata& metadata, TokenizerParts& parts) {
  bool adds_prefix = metadata.flag("add_space_prefix", true);
  parts.prefix_space_after_special = true;
  PrependScheme scheme = adds_prefix ? PrependScheme::kDummy : PrependScheme::kNever;
  parts.pre_tokenizer.add(metaspace(std::string(kMark), scheme, false));
  parts.decoder.add(decode_replace(std::string(kMark), " "));
  parts.decoder.add(decode_byte_fallback());
  if (adds_prefix) parts.decoder.trim_front(' ', 1);
  parts.model = make_scored_bpe(parts.vocab, metadata.id("unknown_token_id", 0, parts.vocab));
}

void build_unigram(const Metadata& metadata, TokenizerParts& parts) {
  SentencePieceOptions options{.add_prefix = metadata.flag("add_space_prefix", true),
                               .remove_extra_spaces = metadata.flag("remove_extra_whitespaces", false)};
  parts.normalizer.add(sentencepiece(Charsmap(read_charsmap(metadata)), options));
  parts.decoder.add(decode_replace(std::string(kMark), " "));
  parts.decoder.add(decode_byte_fallback());
  if (options.add_prefix) parts.decoder.trim_front(' ', 1);
  int32_t unknown = metadata.id("unknown_token_id", 2, parts.vocab);
  parts.model = make_unigram(parts.vocab, {.unknown = unknown, .scores = {}});
}

void build_wordpiece(const Metadata& metadata, TokenizerParts& parts) {
  bool lowercases = metadata.flag("normalizer.lowercase", true);
  bool strips = metadata.flag("normalizer.strip_accents", lowercases);
  parts.normalizer.add(bert({.strip_accents = strips, .lowercase = lowercases}));
  parts.pre_tokenizer.add(split(R"(\s+)", SplitBehavior::kRemoved));
  parts.pre_tokenizer.add(split(kPunctuationPattern));
  parts.decoder.add(decode_replace(std::string(kMark), " "));
  parts.decoder.trim_front(' ', 1);
  parts.model = make_phantom_wordpiece(parts.vocab, metadata.id("unknown_token_id", 100, parts.vocab));
}

// Ids a file names by role become special even when their token_type does not say so.
void read_special_ids(const Metadata& metadata, TokenizerParts& parts, int32_t bos, int32_t eos) {
  Vocab& vocab = parts.vocab;
  parts.bos = metadata.id("bos_token_id", bos, vocab);
  parts.eos = metadata.id("eos_token_id", eos, vocab);
  for (std::string_view key : {"eot_token_id", "eom_token_id"}) {
    if (int32_t id = metadata.id(key, -1, vocab); id >= 0) parts.ends.push_back(id);
  }
  auto mark_special = [&](int32_t id) {
    if (id >= 0 && vocab.kind(id) == TokenKind::kNormal) vocab.set_kind(id, TokenKind::kControl);
  };
  mark_special(metadata.find("bos_token_id") ? parts.bos : -1);
  mark_special(metadata.find("eos_token_id") ? parts.eos : -1);
  for (int32_t id : parts.ends) mark_special(id);
}

void read_added(TokenizerParts& parts, bool strips_right) {
  const Vocab& vocab = parts.vocab;
  for (int32_t id = 0; id < vocab.size(); ++id) {
    TokenKind kind = vocab.kind(id);
    bool is_special = kind == TokenKind::kControl || kind == TokenKind::kUnknown;
    if (!is_special && kind != TokenKind::kAdded) continue;
    std::string_view text = vocab.text(id);
    if (text.size() > AddedTokens::kLongest || !is_valid_utf8(text)) continue;  // no text can hold it
    bool keeps_space = text == "<unk>" || text == "<s>" || text == "<|endoftext|>";
    parts.added.add({.text = std::string(text), .id = id, .is_special = is_special,
                     .strips_right = strips_right && (is_special || text == "</s>") && !keeps_space});
  }
}

// The Phi-3 files lost the rstrip flag of their special tokens on the way to GGUF.
bool is_phi3(const Value& metadata) {
  const Value* name = metadata.find("general.name");
  if (!name || !name->is_string()) return false;
  std::string lower;
  for (char c : name->as_string()) lower.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
  return lower.find("phi-3") != lower.npos || lower.find("phi3") != lower.npos;
}

struct Defaults {
  int32_t bos = -1, eos = -1, separator = -1;
  bool adds_bos = false, adds_eos = false, adds_separator = false;
};

void set_affixes(const Metadata& metadata, TokenizerParts& parts, const Defaults& defaults) {
  if (metadata.flag("add_bos_token", defaults.adds_bos) && parts.bos >= 0) parts.prefix.push_back(parts.bos);
  // The key is misspelled in the files that have it.
  int32_t separator = metadata.id("seperator_token_id", defaults.separator, parts.vocab);
  if (metadata.flag("add_sep_token", defaults.adds_separator) && separator >= 0) {
    parts.suffix.push_back(separator);
  } else if (metadata.flag("add_eos_token", defaults.adds_eos) && parts.eos >= 0) {
    parts.suffix.push_back(parts.eos);
  }
}

Defaults build_model(const Metadata& metadata, const std::string& kind, TokenizerParts& parts) {
  Defaults defaults;
  if (kind == "gpt2" || kind == "gemma4") {
    defaults.bos = defaults.eos = kind == "gpt2" ? 11 : -1;
    build_bpe(metadata, parts, kind == "gemma4", defaults.adds_bos);
  } else if (kind == "llama") {
    defaults = {.bos = 1, .eos = 2, .adds_bos = true};
    build_sentencepiece(metadata, parts);
  } else if (kind == "t5") {
    defaults = {.eos = 1, .adds_eos = true};
    build_unigram(metadata, parts);
  } else if (kind == "bert") {
    defaults = {.bos = 101, .separator = 102, .adds_bos = true, .adds_separator = true};
    build_wordpiece(metadata, parts);
  } else {
    throw Error(Code::kUnsupported, fmt::format("tokenizer.ggml.model '{}' is not supported; known are gpt2, gemma4, "
                                                "llama, t5, bert", kind));
  }
  return defaults;
}

}  // namespace

std::shared_ptr<const Tokenizer> Tokenizer::from_gguf(const Value& object) {
  Metadata metadata(object);
  auto parts = std::make_unique<TokenizerParts>();
  if (!metadata.find("model")) throw Error(Code::kCorruptFile, "tokenizer.ggml.model is missing");
  read_tokens(metadata, parts->vocab);
  Defaults defaults = build_model(metadata, metadata.text("model", ""), *parts);
  read_special_ids(metadata, *parts, defaults.bos, defaults.eos);
  set_affixes(metadata, *parts, defaults);
  read_added(*parts, is_phi3(object));
  if (const Value* chat = object.find("tokenizer.chat_template"); chat && chat->is_string()) {
    parts->chat_template = chat->as_string();
  }
  finish(*parts);
  return std::make_shared<const Tokenizer>(std::move(parts));
}

}  // namespace hearth::text
