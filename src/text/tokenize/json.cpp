// A tokenizer from tokenizer.json (and tokenizer_config.json): vocabulary and model, added tokens, what surrounds a
// text.
#include <algorithm>

#include <fmt/format.h>

#include "core/base/error.h"
#include "text/tokenize/json_components.h"
#include "text/tokenize/tokenizer.h"
#include "text/tokenize/tokenizer_parts.h"

namespace hearth::text {
namespace {

Error corrupt(std::string what) { return Error(Code::kCorruptFile, "tokenizer.json: " + std::move(what)); }

// An id that a vocabulary of `count` entries may use: some holes are normal, a lone huge id is not.
int32_t checked_id(const Value& value, size_t count, std::string_view text) {
  int64_t limit = std::min<int64_t>(Vocab::kMaxTokens, static_cast<int64_t>(count) * 2 + 65536);
  int64_t id = value.is_integer() ? value.as_int() : -1;
  if (id < 0 || id >= limit) {
    throw corrupt(fmt::format("token '{}' should have an id from 0 to {}", text.substr(0, 80), limit - 1));
  }
  return static_cast<int32_t>(id);
}

void read_object_vocab(const Value& model, Vocab& vocab) {
  const Value* entries = json_member(model, "vocab");
  if (!entries || !entries->is_object() || entries->size() == 0) throw corrupt("model.vocab should be a filled object");
  vocab.reserve(entries->size(), entries->size() * 8);
  for (const auto& [text, id] : entries->as_object()) vocab.add(checked_id(id, entries->size(), text), text);
}

std::vector<double> read_unigram_vocab(const Value& model, Vocab& vocab) {
  std::vector<double> scores;
  const Value::List& entries = json_list(model, "vocab");
  vocab.reserve(entries.size(), entries.size() * 8);
  for (const Value& entry : entries) {
    bool is_pair = entry.is_list() && entry.size() == 2;
    if (!is_pair || !entry.as_list()[0].is_string() || !entry.as_list()[1].is_number()) {
      throw corrupt(fmt::format("model.vocab[{}] should be [text, score]", scores.size()));
    }
    vocab.add(static_cast<int32_t>(std::min<size_t>(scores.size(), Vocab::kMaxTokens)), entry.as_list()[0].as_string());
    scores.push_back(entry.as_list()[1].as_double());
  }
  return scores;
}

std::vector<MergeRule> read_merges(const Value& model) {
  std::vector<MergeRule> rules;
  for (const Value& line : json_list(model, "merges")) {
    MergeRule rule;
    if (line.is_string()) {
      std::string_view text = line.as_string();
      size_t space = text.find(' ');
      if (space != text.npos && text.find(' ', space + 1) == text.npos) {
        rule = {text.substr(0, space), text.substr(space + 1)};
      }
    } else if (line.is_list() && line.size() == 2 && line.as_list()[0].is_string() && line.as_list()[1].is_string()) {
      rule = {line.as_list()[0].as_string(), line.as_list()[1].as_string()};
    }
    if (rule.left.empty() || rule.right.empty()) {
      throw corrupt(fmt::format("model.merges[{}] should be \"left right\" or [\"left\", \"right\"]", rules.size()));
    }
    rules.push_back(rule);
  }
  return rules;
}

int32_t find_unknown(const Value& model, const Vocab& vocab) {
  std::string name = json_text(model, "unk_token", "");
  return name.empty() ? -1 : vocab.find(name);
}

std::string model_type(const Value& model) {
  if (!model.is_object()) throw corrupt("'model' should be an object");
  std::string type = json_text(model, "type", "");
  if (!type.empty()) return type;
  return json_member(model, "merges") ? "BPE" : "WordPiece";  // files older than the field
}

void build_model(const Value& model, TokenizerParts& parts) {
  std::string type = model_type(model);
  if (type == "BPE") {
    read_object_vocab(model, parts.vocab);
    BpeOptions options{.unknown = find_unknown(model, parts.vocab),
                       .fuse_unknown = json_flag(model, "fuse_unk", false),
                       .byte_fallback = json_flag(model, "byte_fallback", false),
                       .ignore_merges = json_flag(model, "ignore_merges", false),
                       .continuing_prefix = json_text(model, "continuing_subword_prefix", ""),
                       .end_suffix = json_text(model, "end_of_word_suffix", "")};
    parts.model = make_bpe(parts.vocab, read_merges(model), std::move(options));
  } else if (type == "Unigram") {
    UnigramOptions options;
    options.scores = read_unigram_vocab(model, parts.vocab);
    options.unknown = json_member(model, "unk_id") ? checked_id(model.at("unk_id"), 0, "unk_id") : -1;
    if (options.unknown >= parts.vocab.size()) throw corrupt("model.unk_id lies outside the vocabulary");
    options.byte_fallback = json_flag(model, "byte_fallback", false);
    parts.model = make_unigram(parts.vocab, std::move(options));
  } else if (type == "WordPiece") {
    read_object_vocab(model, parts.vocab);
    WordPieceOptions options{.unknown = find_unknown(model, parts.vocab),
                             .continuing_prefix = json_text(model, "continuing_subword_prefix", "##")};
    options.longest_word = static_cast<size_t>(
        std::clamp<int64_t>(json_integer(model, "max_input_chars_per_word", 100), 0, 1 << 20));
    parts.model = make_wordpiece(parts.vocab, std::move(options));
  } else if (type == "WordLevel") {
    read_object_vocab(model, parts.vocab);
    parts.model = make_word_level(parts.vocab, find_unknown(model, parts.vocab));
  } else {
    throw Error(Code::kUnsupported, fmt::format("tokenizer.json: model '{}' is not supported; supported are BPE, "
                                                "Unigram, WordPiece, WordLevel", type));
  }
}

void read_added(const Value& tokenizer, TokenizerParts& parts) {
  if (!json_member(tokenizer, "added_tokens")) return;
  const Value::List& list = json_list(tokenizer, "added_tokens");
  RegexScratch scratch;
  size_t known = static_cast<size_t>(parts.vocab.size()) + list.size();
  for (const Value& entry : list) {
    AddedToken token{.text = json_text(entry, "content", ""), .is_special = json_flag(entry, "special", false),
                     .single_word = json_flag(entry, "single_word", false),
                     .strips_left = json_flag(entry, "lstrip", false),
                     .strips_right = json_flag(entry, "rstrip", false)};
    if (token.text.empty()) continue;  // the library ignores those too
    const Value* id = json_member(entry, "id");
    token.id = parts.vocab.find(token.text);
    if (token.id < 0) {
      if (!id) throw corrupt(fmt::format("added token '{}' has no id", token.text));
      token.id = checked_id(*id, known, token.text);
      parts.vocab.add(token.id, token.text);
    }
    parts.vocab.set_kind(token.id, token.is_special ? TokenKind::kControl : TokenKind::kAdded);
    bool is_normalized = json_flag(entry, "normalized", !token.is_special);
    if (!is_normalized || parts.normalizer.empty()) {
      parts.added.add(std::move(token));
    } else {
      token.text = parts.normalizer.apply(token.text, scratch);
      if (!token.text.empty()) parts.added_normalized.add(std::move(token));
    }
  }
}

// The ids that TemplateProcessing, BertProcessing and RobertaProcessing put around one text.
void read_affixes(const Value& processor, TokenizerParts& parts) {
  std::string type = json_type(processor, "post_processor");
  auto find_pair = [&](std::string_view key) {
    const Value::List& pair = json_list(processor, key);
    return pair.size() == 2 && pair[0].is_string() ? parts.vocab.find(pair[0].as_string()) : -1;
  };
  auto push = [](std::vector<int32_t>& ids, int32_t id) {
    if (id < 0) throw corrupt("post_processor names a token that the vocabulary lacks");
    ids.push_back(id);
  };
  if (type == "Sequence") {
    for (const Value& part : json_list(processor, "processors")) read_affixes(part, parts);
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    push(parts.prefix, find_pair("cls"));
    push(parts.suffix, find_pair("sep"));
  } else if (type == "TemplateProcessing") {
    bool is_before = true;
    for (const Value& item : json_list(processor, "single")) {
      if (json_member(item, "Sequence")) is_before = false;
      const Value* special = json_member(item, "SpecialToken");
      if (special) push(is_before ? parts.prefix : parts.suffix, parts.vocab.find(json_text(*special, "id", "")));
    }
  } else if (type != "ByteLevel") {
    throw Error(Code::kUnsupported, fmt::format("tokenizer.json: post_processor '{}' is not supported; supported are "
                                                "Sequence, TemplateProcessing, BertProcessing, RobertaProcessing, "
                                                "ByteLevel", type));
  }
}

// tokenizer_config.json spells a token as text or as {"content": text}.
int32_t find_config_token(const Value& config, std::string_view key, const Vocab& vocab) {
  const Value* token = json_member(config, key);
  if (token && token->is_object()) token = json_member(*token, "content");
  return token && token->is_string() ? vocab.find(token->as_string()) : -1;
}

void read_config(const Value& config, TokenizerParts& parts) {
  parts.bos = find_config_token(config, "bos_token", parts.vocab);
  parts.eos = find_config_token(config, "eos_token", parts.vocab);
  if (parts.bos < 0 && !parts.prefix.empty()) parts.bos = parts.prefix[0];
  auto set_affix = [&](std::string_view key, std::vector<int32_t>& affix, int32_t id, bool at_front) {
    const Value* wanted = json_member(config, key);
    if (!wanted || !wanted->is_bool() || id < 0) return;
    bool is_there = std::find(affix.begin(), affix.end(), id) != affix.end();
    if (wanted->as_bool() && !is_there) affix.insert(at_front ? affix.begin() : affix.end(), id);
    if (!wanted->as_bool()) std::erase(affix, id);
  };
  set_affix("add_bos_token", parts.prefix, parts.bos, true);
  set_affix("add_eos_token", parts.suffix, parts.eos, false);
  const Value* chat = json_member(config, "chat_template");
  if (chat && chat->is_string()) parts.chat_template = chat->as_string();
  if (chat && chat->is_list()) {
    for (const Value& named : chat->as_list()) {
      if (json_text(named, "name", "") == "default") parts.chat_template = json_text(named, "template", "");
    }
  }
}

// Without a config the first well-known ending name serves as EOS.
void guess_eos(TokenizerParts& parts) {
  for (std::string_view name : {"<|im_end|>", "<|eot_id|>", "<end_of_turn>", "</s>", "<|endoftext|>", "<eos>"}) {
    int32_t id = parts.vocab.find(name);
    if (parts.eos < 0 && id >= 0 && parts.vocab.kind(id) == TokenKind::kControl) parts.eos = id;
  }
}

}  // namespace

std::shared_ptr<const Tokenizer> Tokenizer::from_json(const Value& tokenizer, const Value& config) {
  const Value* model = json_member(tokenizer, "model");
  if (!model) throw corrupt(fmt::format("expected an object with 'model', got {}", tokenizer.kind_name()));
  auto parts = std::make_unique<TokenizerParts>();
  build_model(*model, *parts);
  if (const Value* part = json_member(tokenizer, "normalizer")) add_normalizer(*part, parts->normalizer);
  if (const Value* part = json_member(tokenizer, "pre_tokenizer")) add_pre_tokenizer(*part, parts->pre_tokenizer);
  if (const Value* part = json_member(tokenizer, "decoder")) {
    add_decoder(*part, parts->decoder);
  } else {
    parts->decoder.separate_with(" ");
  }
  read_added(tokenizer, *parts);
  if (const Value* part = json_member(tokenizer, "post_processor")) read_affixes(*part, *parts);
  read_config(config, *parts);
  guess_eos(*parts);
  finish(*parts);
  return std::make_shared<const Tokenizer>(std::move(parts));
}

}  // namespace hearth::text
