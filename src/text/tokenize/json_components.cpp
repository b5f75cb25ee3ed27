#include "text/tokenize/json_components.h"

#include <algorithm>

#include <fmt/format.h>

#include "core/base/base64.h"
#include "core/base/error.h"

namespace hearth::text {
namespace {

template <class Read>
auto read(const Value& object, std::string_view key, Read as) {
  try {
    return as(object.at(key));
  } catch (const Error& error) {
    throw Error(Code::kCorruptFile, fmt::format("tokenizer.json, '{}': {}", key, error.message()));
  }
}

[[noreturn]] void unknown_type(std::string_view part, std::string_view type, std::string_view known) {
  throw Error(Code::kUnsupported,
              fmt::format("tokenizer.json: {} '{}' is not supported; supported are {}", part, type, known));
}

// {"String": "x"} or {"Regex": "x"}; older files write the text alone.
struct Pattern {
  std::string text;
  bool is_regex = false;
};

Pattern read_pattern(const Value& component) {
  const Value* pattern = json_member(component, "pattern");
  if (!pattern) throw Error(Code::kCorruptFile, "tokenizer.json: a component lacks its 'pattern'");
  if (pattern->is_string()) return {pattern->as_string(), false};
  if (json_member(*pattern, "Regex")) return {json_text(*pattern, "Regex", ""), true};
  if (json_member(*pattern, "String")) return {json_text(*pattern, "String", ""), false};
  throw Error(Code::kCorruptFile, "tokenizer.json: 'pattern' should hold 'String' or 'Regex'");
}

SplitBehavior read_behavior(const Value& component, std::string_view fallback) {
  std::string name = json_text(component, "behavior", fallback);
  std::string plain;
  for (char c : name) {
    if (c != '_') plain.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
  }
  if (plain == "isolated") return SplitBehavior::kIsolated;
  if (plain == "removed") return SplitBehavior::kRemoved;
  if (plain == "mergedwithprevious") return SplitBehavior::kMergedWithPrevious;
  if (plain == "mergedwithnext") return SplitBehavior::kMergedWithNext;
  if (plain == "contiguous") return SplitBehavior::kContiguous;
  unknown_type("split behavior", name, "Isolated, Removed, MergedWithPrevious, MergedWithNext, Contiguous");
}

PrependScheme read_scheme(const Value& component) {
  bool legacy_prefix = json_flag(component, "add_prefix_space", true);
  std::string scheme = json_text(component, "prepend_scheme", legacy_prefix ? "always" : "never");
  if (scheme == "first") return PrependScheme::kFirst;
  if (scheme == "always") return PrependScheme::kAlways;
  if (scheme == "never") return PrependScheme::kNever;
  unknown_type("prepend_scheme", scheme, "first, always, never");
}

Normalizer::StepPtr bert_normalizer(const Value& component) {
  BertOptions options;
  options.clean_text = json_flag(component, "clean_text", true);
  options.handle_chinese_chars = json_flag(component, "handle_chinese_chars", true);
  options.lowercase = json_flag(component, "lowercase", true);
  options.strip_accents = json_flag(component, "strip_accents", options.lowercase);
  return bert(options);
}

Normalizer::StepPtr replace_normalizer(const Value& component) {
  Pattern pattern = read_pattern(component);
  std::string content = json_text(component, "content", "");
  if (pattern.is_regex) return replace_regex(Regex(pattern.text), std::move(content));
  return replace_text(std::move(pattern.text), std::move(content));
}

PreTokenizer::StepPtr split_step(const Value& component) {
  Pattern pattern = read_pattern(component);
  SplitBehavior behavior = read_behavior(component, "Isolated");
  bool invert = json_flag(component, "invert", false);
  if (pattern.is_regex) return split(pattern.text, behavior, invert);
  return split_literal(std::move(pattern.text), behavior, invert);
}

size_t json_count(const Value& component, std::string_view key) {
  return static_cast<size_t>(std::clamp<int64_t>(json_integer(component, key, 0), 0, 1 << 20));
}

PreTokenizer::StepPtr fixed_length(int64_t length) {
  if (length < 1 || length > 1000) {
    throw Error(Code::kCorruptFile, fmt::format("tokenizer.json: FixedLength of {}, expected 1 to 1000", length));
  }
  return split(fmt::format("(?s:.){{1,{}}}", length));
}

}  // namespace

const Value* json_member(const Value& object, std::string_view key) {
  const Value* found = object.find(key);
  return found && !found->is_null() ? found : nullptr;
}

std::string json_text(const Value& object, std::string_view key, std::string_view fallback) {
  if (!json_member(object, key)) return std::string(fallback);
  return read(object, key, [](const Value& v) { return v.as_string(); });
}

bool json_flag(const Value& object, std::string_view key, bool fallback) {
  if (!json_member(object, key)) return fallback;
  return read(object, key, [](const Value& v) { return v.as_bool(); });
}

int64_t json_integer(const Value& object, std::string_view key, int64_t fallback) {
  if (!json_member(object, key)) return fallback;
  return read(object, key, [](const Value& v) { return v.as_int(); });
}

const Value::List& json_list(const Value& object, std::string_view key) {
  return *read(object, key, [](const Value& v) { return &v.as_list(); });
}

std::string json_type(const Value& component, std::string_view part) {
  if (!component.is_object()) {
    throw Error(Code::kCorruptFile, fmt::format("tokenizer.json: a {} should be an object, got {}", part,
                                                component.kind_name()));
  }
  std::string type = json_text(component, "type", "");
  if (type.empty()) throw Error(Code::kCorruptFile, fmt::format("tokenizer.json: a {} lacks its 'type'", part));
  return type;
}

void add_normalizer(const Value& component, Normalizer& out) {
  std::string type = json_type(component, "normalizer");
  if (type == "Sequence") {
    for (const Value& part : json_list(component, "normalizers")) add_normalizer(part, out);
  } else if (type == "NFC") {
    out.add(unicode_form(NormalForm::kNfc));
  } else if (type == "NFD") {
    out.add(unicode_form(NormalForm::kNfd));
  } else if (type == "NFKC") {
    out.add(unicode_form(NormalForm::kNfkc));
  } else if (type == "NFKD") {
    out.add(unicode_form(NormalForm::kNfkd));
  } else if (type == "Lowercase") {
    out.add(lowercase());
  } else if (type == "StripAccents") {
    out.add(strip_accents());
  } else if (type == "Strip") {
    out.add(strip_spaces(json_flag(component, "strip_left", true), json_flag(component, "strip_right", true)));
  } else if (type == "Prepend") {
    out.add(prepend(json_text(component, "prepend", "")));
  } else if (type == "Replace") {
    out.add(replace_normalizer(component));
  } else if (type == "Nmt") {
    out.add(nmt());
  } else if (type == "BertNormalizer") {
    out.add(bert_normalizer(component));
  } else if (type == "ByteLevel") {
    out.add(byte_level_alphabet());
  } else if (type == "Precompiled") {
    out.add(precompiled(Charsmap(from_base64(json_text(component, "precompiled_charsmap", "")).value())));
  } else {
    unknown_type("normalizer", type, "Sequence, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, Strip, Prepend, "
                                     "Replace, Nmt, BertNormalizer, ByteLevel, Precompiled");
  }
}

void add_pre_tokenizer(const Value& component, PreTokenizer& out) {
  std::string type = json_type(component, "pre_tokenizer");
  if (type == "Sequence") {
    for (const Value& part : json_list(component, "pretokenizers")) add_pre_tokenizer(part, out);
  } else if (type == "ByteLevel") {
    out.add(byte_level(json_flag(component, "add_prefix_space", true), json_flag(component, "use_regex", true)));
  } else if (type == "Split") {
    out.add(split_step(component));
  } else if (type == "Metaspace") {
    out.add(metaspace(json_text(component, "replacement", "\xE2\x96\x81"), read_scheme(component),
                      json_flag(component, "split", true)));
  } else if (type == "Digits") {
    out.add(split(json_flag(component, "individual_digits", false) ? R"(\p{N})" : R"(\p{N}+)"));
  } else if (type == "Punctuation") {
    out.add(split(kPunctuationPattern, read_behavior(component, "Isolated")));
  } else if (type == "Whitespace") {
    // This component is not Oniguruma: in the library's own engine the two joiners are word characters.
    out.add(split(R"([\w\x{200c}\x{200d}]+|[^\w\s\x{200c}\x{200d}]+)", SplitBehavior::kRemoved, true));
  } else if (type == "WhitespaceSplit") {
    out.add(split(R"(\s)", SplitBehavior::kRemoved));
  } else if (type == "BertPreTokenizer") {
    out.add(split(R"(\s)", SplitBehavior::kRemoved));
    out.add(split(kPunctuationPattern));
  } else if (type == "CharDelimiterSplit") {
    out.add(split_literal(json_text(component, "delimiter", " "), SplitBehavior::kRemoved, false));
  } else if (type == "FixedLength") {
    out.add(fixed_length(json_integer(component, "length", 5)));
  } else {
    unknown_type("pre_tokenizer", type, "Sequence, ByteLevel, Split, Metaspace, Digits, Punctuation, Whitespace, "
                                        "WhitespaceSplit, BertPreTokenizer, CharDelimiterSplit, FixedLength");
  }
}

void add_decoder(const Value& component, Decoder& out) {
  std::string type = json_type(component, "decoder");
  if (type == "Sequence") {
    bool is_fused = false;  // behind Fuse the tokens are one text: a Strip then means the ends of the whole
    for (const Value& part : json_list(component, "decoders")) {
      std::string name = json_type(part, "decoder");
      if (name == "Strip" && is_fused) {
        std::string content = json_text(part, "content", " ");
        if (content.size() == 1) out.trim_front(content[0], json_count(part, "start"));
      } else {
        add_decoder(part, out);
      }
      is_fused = is_fused || name == "Fuse";
    }
  } else if (type == "ByteLevel") {
    out.add(decode_byte_level());
  } else if (type == "ByteFallback") {
    out.add(decode_byte_fallback());
  } else if (type == "Fuse") {
    // Tokens are always joined.
  } else if (type == "Metaspace") {
    out.add(decode_metaspace(json_text(component, "replacement", "\xE2\x96\x81"),
                             read_scheme(component) != PrependScheme::kNever));
  } else if (type == "Replace") {
    Pattern pattern = read_pattern(component);
    if (pattern.is_regex) throw Error(Code::kUnsupported, "tokenizer.json: a Replace decoder with a Regex");
    out.add(decode_replace(std::move(pattern.text), json_text(component, "content", "")));
  } else if (type == "Strip") {
    out.add(decode_strip(json_text(component, "content", " "), json_count(component, "start"),
                         json_count(component, "stop")));
  } else if (type == "WordPiece") {
    out.add(decode_wordpiece(json_text(component, "prefix", "##"), json_flag(component, "cleanup", true)));
  } else if (type == "BPEDecoder") {
    out.add(decode_bpe_suffix(json_text(component, "suffix", "</w>")));
  } else {
    unknown_type("decoder", type, "Sequence, ByteLevel, ByteFallback, Fuse, Metaspace, Replace, Strip, WordPiece, "
                                  "BPEDecoder");
  }
}

}  // namespace hearth::text
