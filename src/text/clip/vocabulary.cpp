#include "text/clip/vocabulary.h"

#include <string>
#include <string_view>
#include <vector>

#include <zlib.h>

#include "core/base/check.h"
#include "text/tokenize/byte_alphabet.h"
#include "text/tokenize/tokenizer_parts.h"

namespace hearth::embedded {
std::string_view clip_merges();
}

namespace hearth::text {
namespace {

constexpr size_t kMergesBytes = 524'605;  // of the text, which never changes
constexpr int kRules = 48'894;

std::string inflate_merges() {
  std::string_view packed = embedded::clip_merges();
  std::string text(kMergesBytes, '\0');
  z_stream z{};
  constexpr int kGzip = MAX_WBITS + 16;
  check(inflateInit2(&z, kGzip) == Z_OK, "zlib can start to inflate");
  z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));
  z.avail_in = static_cast<uInt>(packed.size());
  z.next_out = reinterpret_cast<Bytef*>(text.data());
  z.avail_out = static_cast<uInt>(text.size());
  int status = inflate(&z, Z_FINISH);
  inflateEnd(&z);
  check(status == Z_STREAM_END && z.avail_out == 0, "the embedded merge rules of CLIP inflate to their size");
  return text;
}

std::vector<MergeRule> read_rules(std::string_view text) {
  std::vector<MergeRule> rules;
  rules.reserve(kRules);
  while (!text.empty()) {
    size_t end = text.find('\n'), space = text.find(' ');
    check(end != text.npos && space < end, "a merge rule of CLIP is two spellings");
    rules.push_back({text.substr(0, space), text.substr(space + 1, end - space - 1)});
    text.remove_prefix(end + 1);
  }
  check(rules.size() == kRules, "CLIP has 48,894 merge rules");
  return rules;
}

// The 256 byte characters in the order the vocabulary has them: printing bytes first.
std::vector<std::string> byte_characters() {
  std::vector<std::string> printing, others;
  for (int byte = 0; byte < 256; ++byte) {
    std::string spelling;
    char c = static_cast<char>(byte);
    append_byte_alphabet(spelling, std::string_view(&c, 1));
    bool prints = (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD);
    (prints ? printing : others).push_back(std::move(spelling));
  }
  printing.insert(printing.end(), others.begin(), others.end());
  return printing;
}

void fill_vocab(const std::vector<MergeRule>& rules, Vocab& vocab) {
  constexpr size_t kTokens = kClipEnd + 1;
  vocab.reserve(kTokens, kTokens * 10);
  int32_t id = 0;
  std::vector<std::string> bytes = byte_characters();
  for (const std::string& byte : bytes) vocab.add(id++, byte);
  for (const std::string& byte : bytes) vocab.add(id++, byte + "</w>");
  std::string joined;
  for (const MergeRule& rule : rules) {
    joined.assign(rule.left).append(rule.right);
    vocab.add(id++, joined);
  }
  check(id == kClipStart, "the vocabulary of CLIP has 49,406 plain tokens");
  vocab.add(kClipStart, "<|startoftext|>", TokenKind::kControl);
  vocab.add(kClipEnd, "<|endoftext|>", TokenKind::kControl);
}

std::unique_ptr<TokenizerParts> make_parts() {
  auto parts = std::make_unique<TokenizerParts>();
  std::string text = inflate_merges();
  std::vector<MergeRule> rules = read_rules(text);
  fill_vocab(rules, parts->vocab);
  BpeOptions options;
  options.unknown = kClipEnd;
  options.end_suffix = "</w>";
  parts->model = make_bpe(parts->vocab, rules, std::move(options));
  parts->normalizer.add(unicode_form(NormalForm::kNfc));
  parts->normalizer.add(replace_regex(Regex(R"(\s+)"), " "));
  parts->normalizer.add(lowercase());
  constexpr std::string_view kWords =
      R"(<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)";
  parts->pre_tokenizer.add(split(kWords, SplitBehavior::kRemoved, true));
  parts->pre_tokenizer.add(byte_level(false, true));
  parts->decoder.add(decode_byte_level());
  parts->decoder.add(decode_bpe_suffix("</w>"));
  // As the reference has them: the start is matched after lower-casing, the end in the text as it stands.
  parts->added_normalized.add({.text = "<|startoftext|>", .id = kClipStart, .is_special = true});
  parts->added.add({.text = "<|endoftext|>", .id = kClipEnd, .is_special = true});
  parts->prefix = {kClipStart};
  parts->suffix = {kClipEnd};
  parts->bos = kClipStart;
  parts->eos = kClipEnd;
  finish(*parts);
  return parts;
}

}  // namespace

const Tokenizer& clip_tokenizer() {
  static const Tokenizer tokenizer(make_parts());
  return tokenizer;
}

}  // namespace hearth::text
