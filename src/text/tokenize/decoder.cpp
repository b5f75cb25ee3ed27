#include "text/tokenize/decoder.h"

#include <utility>

#include "text/tokenize/byte_alphabet.h"
#include "text/tokenize/vocab.h"

namespace hearth::text {
namespace {

template <class Function>
class FunctionStep final : public Decoder::Step {
 public:
  explicit FunctionStep(Function function) : function_(std::move(function)) {}
  std::string apply(std::string token, bool is_first) const override { return function_(std::move(token), is_first); }

 private:
  Function function_;
};

template <class Function>
Decoder::StepPtr step(Function function) {
  return std::make_unique<FunctionStep<Function>>(std::move(function));
}

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  if (from.empty()) return;
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// English punctuation moves to its word, as the `tokenizers` library writes WordPiece back.
void clean_up_english(std::string& text) {
  static constexpr std::pair<std::string_view, std::string_view> kRules[] = {
      {" .", "."},    {" ?", "?"},   {" !", "!"},           {" ,", ","},  {" ' ", "'"},
      {" n't", "n't"}, {" 'm", "'m"}, {" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};
  for (const auto& [from, to] : kRules) replace_all(text, from, to);
}

}  // namespace

std::string Decoder::decode(std::string_view spelling, bool is_first) const {
  std::string token(spelling);
  for (const StepPtr& step : steps_) token = step->apply(std::move(token), is_first);
  return is_first || separator_.empty() ? token : separator_ + token;
}

size_t Decoder::front_bytes(std::string_view text, size_t& left) const {
  size_t bytes = 0;
  while (bytes < text.size() && left > 0 && text[bytes] == front_) ++bytes, --left;
  if (bytes < text.size()) left = 0;
  return bytes;
}

Decoder::StepPtr decode_byte_level() {
  return step([](std::string token, bool) {
    auto bytes = from_byte_alphabet(token);
    return bytes ? *bytes : token;
  });
}

Decoder::StepPtr decode_byte_fallback() {
  return step([](std::string token, bool) {
    auto byte = parse_byte_token(token);
    return byte ? std::string(1, static_cast<char>(*byte)) : token;
  });
}

Decoder::StepPtr decode_replace(std::string from, std::string to) {
  return step([from = std::move(from), to = std::move(to)](std::string token, bool) {
    replace_all(token, from, to);
    return token;
  });
}

Decoder::StepPtr decode_metaspace(std::string mark, bool was_prepended) {
  return step([mark = std::move(mark), was_prepended](std::string token, bool is_first) {
    replace_all(token, mark, is_first && was_prepended ? "" : " ");
    return token;
  });
}

Decoder::StepPtr decode_strip(std::string content, size_t start, size_t stop) {
  return step([=](std::string token, bool) {
    std::string_view rest = token;
    if (content.empty()) return token;
    for (size_t i = 0; i < start && rest.starts_with(content); ++i) rest.remove_prefix(content.size());
    for (size_t i = 0; i < stop && rest.ends_with(content); ++i) rest.remove_suffix(content.size());
    return std::string(rest);
  });
}

Decoder::StepPtr decode_wordpiece(std::string prefix, bool clean_up) {
  return step([prefix = std::move(prefix), clean_up](std::string token, bool is_first) {
    if (!is_first) {
      if (!prefix.empty() && token.starts_with(prefix)) {
        token.erase(0, prefix.size());
      } else {
        token.insert(0, " ");
      }
    }
    if (clean_up) clean_up_english(token);
    return token;
  });
}

Decoder::StepPtr decode_bpe_suffix(std::string suffix) {
  // The library drops the suffix of the last token; a stream cannot know which is last, so the space stays there.
  return decode_replace(std::move(suffix), " ");
}

}  // namespace hearth::text
