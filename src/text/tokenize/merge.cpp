#include "text/tokenize/merge.h"

#include "text/unicode.h"

namespace hearth::text {
namespace {

constexpr std::string_view kMark = "\xE2\x96\x81";  // U+2581

uint32_t last_code_point(std::string_view text) {
  size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return first_code_point(text.substr(begin)).value;
}

}  // namespace

SafeCuts::SafeCuts(const Vocab& vocab) {
  enabled_ = vocab.find(kMark) >= 0;
  for (int32_t id = 0; enabled_ && id < vocab.size(); ++id) {
    std::string_view text = vocab.text(id);
    for (size_t at = text.find(kMark, 1); at != std::string_view::npos; at = text.find(kMark, at + kMark.size())) {
      before_mark_.push_back(last_code_point(text.substr(0, at)));
    }
  }
  std::sort(before_mark_.begin(), before_mark_.end());
  before_mark_.erase(std::unique(before_mark_.begin(), before_mark_.end()), before_mark_.end());
}

size_t SafeCuts::first(std::string_view text) const {
  if (text.empty()) return 0;
  for (size_t at = text.find(kMark, 1); at != std::string_view::npos; at = text.find(kMark, at + kMark.size())) {
    uint32_t before = last_code_point(text.substr(0, at));
    if (!std::binary_search(before_mark_.begin(), before_mark_.end(), before)) return at;
  }
  return text.size();
}

}  // namespace hearth::text
