#include "text/tokenize/normalizer.h"

#include "text/tokenize/byte_alphabet.h"

namespace hearth::text {
namespace {

constexpr std::string_view kSpaceMark = "\xE2\x96\x81";  // U+2581

// A step that is a plain function of the text.
template <class Function>
class FunctionStep final : public Normalizer::Step {
 public:
  explicit FunctionStep(Function function) : function_(std::move(function)) {}
  std::string apply(std::string text, RegexScratch&) const override { return function_(std::move(text)); }

 private:
  Function function_;
};

template <class Function>
Normalizer::StepPtr step(Function function) {
  return std::make_unique<FunctionStep<Function>>(std::move(function));
}

template <class Visit>
void for_each_code_point(std::string_view text, Visit visit) {
  while (!text.empty()) {
    CodePoint c = first_code_point(text);
    if (c.bytes == 0) return;
    visit(c.value);
    text.remove_prefix(c.bytes);
  }
}

bool is_ascii(std::string_view text) {
  for (char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80) return false;
  }
  return true;
}

class RegexReplace final : public Normalizer::Step {
 public:
  RegexReplace(Regex pattern, std::string to) : pattern_(std::move(pattern)), to_(std::move(to)) {}

  std::string apply(std::string text, RegexScratch& scratch) const override {
    std::string out;
    size_t copied = 0, from = 0;
    for (Match match; from <= text.size() && pattern_.search(text, from, scratch, match);) {
      out.append(text, copied, match.begin - copied);
      out += to_;
      copied = match.end;
      bool is_empty = match.end == match.begin;
      from = !is_empty ? match.end : match.end + (match.end < text.size() ? sequence_length(text[match.end]) : 1);
    }
    return out.append(text, copied, std::string::npos);
  }

 private:
  Regex pattern_;
  std::string to_;
};

std::string replace_all(std::string text, const std::string& from, const std::string& to) {
  if (from.empty()) return text;
  size_t at = text.find(from);
  if (at == std::string::npos) return text;
  std::string out;
  out.reserve(text.size() * 2);
  size_t copied = 0;
  for (; at != std::string::npos; at = text.find(from, copied)) {
    out.append(text, copied, at - copied).append(to);
    copied = at + from.size();
  }
  return out.append(text, copied, std::string::npos);
}

std::string trim(std::string_view text, bool left, bool right) {
  while (left && !text.empty()) {
    CodePoint c = first_code_point(text);
    if (!is_space(c.value)) break;
    text.remove_prefix(c.bytes);
  }
  while (right && !text.empty()) {
    size_t begin = text.size() - 1;
    while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
    if (!is_space(first_code_point(text.substr(begin)).value)) break;
    text = text.substr(0, begin);
  }
  return std::string(text);
}

std::string lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each_code_point(text, [&](uint32_t c) { append_lower(out, c); });
  return out;
}

std::string without_marks(std::string_view text, bool only_nonspacing) {
  std::string out;
  for_each_code_point(text, [&](uint32_t c) {
    if (only_nonspacing ? is_nonspacing_mark(c) : is_mark(c)) return;
    append_utf8(out, c);
  });
  return out;
}

// The clean-up of neural machine translation models: controls vanish, odd spaces become plain ones.
void append_nmt(std::string& out, uint32_t c) {
  bool vanishes = (c >= 1 && c <= 8) || c == 0xB || (c >= 0xE && c <= 0x1F) || c == 0x7F || c == 0x8F || c == 0x9F;
  if (vanishes) return;
  bool is_blank = c == 9 || c == 0xA || c == 0xC || c == 0xD || c == 0x1680 || (c >= 0x200B && c <= 0x200F) ||
                  c == 0x2028 || c == 0x2029 || c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
  append_utf8(out, is_blank ? ' ' : c);
}

std::string clean_bert(std::string_view text, const BertOptions& options) {
  std::string out;
  for_each_code_point(text, [&](uint32_t c) {
    bool is_blank = is_space(c);
    if (options.clean_text) {
      if (c == 0 || c == 0xFFFD || (is_control(c) && c != '\t' && c != '\n' && c != '\r')) return;
      if (is_blank) c = ' ';
    }
    bool stands_alone = options.handle_chinese_chars && is_cjk_ideograph(c);
    if (stands_alone) out += ' ';
    append_utf8(out, c);
    if (stands_alone) out += ' ';
  });
  return out;
}

// Follows the `tokenizers` library: short clusters are looked up whole, then code point by code point, and the shortest
// entry of the map wins.
std::string map_by_cluster(const Charsmap& map, std::string_view text) {
  constexpr size_t kShortCluster = 6;  // bytes
  std::string out;
  while (!text.empty()) {
    std::string_view cluster = text.substr(0, first_grapheme_bytes(text));
    if (cluster.empty()) break;
    text.remove_prefix(cluster.size());
    Charsmap::Hit whole = cluster.size() < kShortCluster ? map.shortest(cluster) : Charsmap::Hit{};
    if (whole.bytes > 0) {
      out += whole.replacement;
      continue;
    }
    while (!cluster.empty()) {
      std::string_view part = cluster.substr(0, sequence_length(static_cast<unsigned char>(cluster[0])));
      Charsmap::Hit hit = map.shortest(part);
      out += hit.bytes > 0 ? hit.replacement : part;
      cluster.remove_prefix(part.size());
    }
  }
  return out;
}

std::string map_longest(const Charsmap& map, std::string_view text) {
  std::string out;
  while (!text.empty()) {
    Charsmap::Hit hit = map.longest(text);
    size_t bytes = hit.bytes > 0 ? hit.bytes : sequence_length(static_cast<unsigned char>(text[0]));
    out += hit.bytes > 0 ? hit.replacement : text.substr(0, bytes);
    text.remove_prefix(std::min(bytes, text.size()));
  }
  return out;
}

// A forged map can point into the middle of a character; later steps rely on valid text.
std::string repaired(std::string text) { return is_valid_utf8(text) ? text : to_valid_utf8(text); }

std::string escape_spaces(std::string_view text, const SentencePieceOptions& options) {
  std::string out;
  bool in_word = false, prefixed = false;
  for (char c : text) {
    if (c == ' ') {
      in_word = false;
      if (!options.remove_extra_spaces) out += kSpaceMark;
      continue;
    }
    if (!in_word && (options.remove_extra_spaces || (options.add_prefix && !prefixed))) {
      bool leads = out.empty() && !options.add_prefix;
      if (!leads) out += kSpaceMark;
      prefixed = true;
    }
    in_word = true;
    out += c;
  }
  return out;
}

}  // namespace

std::string Normalizer::apply(std::string_view text, RegexScratch& scratch) const {
  std::string current(text);
  for (const StepPtr& step : steps_) current = step->apply(std::move(current), scratch);
  return current;
}

Normalizer::StepPtr unicode_form(NormalForm form) {
  return step([form](std::string text) { return is_ascii(text) ? text : normalize(text, form); });
}

Normalizer::StepPtr lowercase() {
  return step([](std::string text) { return lower(text); });
}

Normalizer::StepPtr strip_accents() {
  return step([](std::string text) { return without_marks(text, false); });
}

Normalizer::StepPtr strip_spaces(bool left, bool right) {
  return step([=](std::string text) { return trim(text, left, right); });
}

Normalizer::StepPtr prepend(std::string added) {
  return step([added = std::move(added)](std::string text) { return text.empty() ? text : added + text; });
}

Normalizer::StepPtr replace_text(std::string from, std::string to) {
  return step([from = std::move(from), to = std::move(to)](std::string text) {
    return replace_all(std::move(text), from, to);
  });
}

Normalizer::StepPtr replace_regex(Regex pattern, std::string to) {
  return std::make_unique<RegexReplace>(std::move(pattern), std::move(to));
}

Normalizer::StepPtr nmt() {
  return step([](std::string text) {
    std::string out;
    for_each_code_point(text, [&](uint32_t c) { append_nmt(out, c); });
    return out;
  });
}

Normalizer::StepPtr bert(BertOptions options) {
  return step([options](std::string text) {
    text = clean_bert(text, options);
    if (options.strip_accents) text = without_marks(normalize(text, NormalForm::kNfd), true);
    return options.lowercase ? lower(text) : text;
  });
}

Normalizer::StepPtr byte_level_alphabet() {
  return step([](std::string text) {
    std::string out;
    append_byte_alphabet(out, text);
    return out;
  });
}

Normalizer::StepPtr precompiled(Charsmap map) {
  return step([map = std::move(map)](std::string text) { return repaired(map_by_cluster(map, text)); });
}

Normalizer::StepPtr sentencepiece(Charsmap map, SentencePieceOptions options) {
  return step([map = std::move(map), options](std::string text) {
    return escape_spaces(repaired(map_longest(map, text)), options);
  });
}

}  // namespace hearth::text
