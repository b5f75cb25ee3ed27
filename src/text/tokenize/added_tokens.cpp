#include "text/tokenize/added_tokens.h"

#include <fmt/format.h>

#include "core/base/error.h"
#include "text/unicode.h"

namespace hearth::text {
namespace {

CodePoint last_code_point(std::string_view text) {
  if (text.empty()) return {};
  size_t begin = text.size() - 1;
  while (begin > 0 && (static_cast<unsigned char>(text[begin]) & 0xC0) == 0x80) --begin;
  return first_code_point(text.substr(begin));
}

bool touches_word(std::string_view before, std::string_view after) {
  CodePoint left = last_code_point(before), right = first_code_point(after);
  return (left.bytes > 0 && is_word(left.value)) || (right.bytes > 0 && is_word(right.value));
}

}  // namespace

void AddedTokens::add(AddedToken token) {
  if (token.text.empty()) throw Error(Code::kCorruptFile, fmt::format("added token {} has no text", token.id));
  if (token.text.size() > kLongest) {
    throw Error(Code::kCorruptFile, fmt::format("added token {} is {} bytes long, expected at most {}", token.id,
                                                token.text.size(), kLongest));
  }
  // Only then can a token never begin or end inside a character of a text.
  if (!is_valid_utf8(token.text)) {
    throw Error(Code::kCorruptFile, fmt::format("added token {} is not valid UTF-8", token.id));
  }
  auto index = static_cast<int32_t>(tokens_.size());
  all_.insert(token.text, index);
  if (!token.is_special) plain_.insert(token.text, index);
  tokens_.push_back(std::move(token));
}

size_t AddedTokens::bytes() const {
  const size_t short_text = std::string().capacity();  // lies in the object itself
  size_t bytes = tokens_.capacity() * sizeof(AddedToken) + plain_.bytes() + all_.bytes();
  for (const AddedToken& token : tokens_) bytes += token.text.capacity() > short_text ? token.text.capacity() : 0;
  return bytes;
}

const AddedToken* AddedTokens::longest_at(std::string_view text, size_t at, bool with_special) const {
  const Trie& trie = with_special ? all_ : plain_;
  if (!trie.starts(static_cast<unsigned char>(text[at]))) return nullptr;
  int32_t best = -1;
  uint32_t node = Trie::kRoot;
  for (size_t i = at; i < text.size(); ++i) {
    node = trie.child(node, static_cast<unsigned char>(text[i]));
    if (node == Trie::kNone) break;
    if (trie.value(node) >= 0) best = trie.value(node);
  }
  return best < 0 ? nullptr : &tokens_[static_cast<size_t>(best)];
}

void AddedTokens::partition(std::string_view text, bool with_special, std::vector<Fragment>& out) const {
  size_t done = 0;
  if (!(with_special ? all_ : plain_).empty()) {
    for (size_t at = 0; at < text.size();) {
      const AddedToken* token = longest_at(text, at, with_special);
      if (!token) {
        ++at;
        continue;
      }
      size_t begin = at, end = at + token->text.size();
      at = end;
      if (token->single_word && touches_word(text.substr(0, begin), text.substr(end))) continue;
      while (token->strips_left && begin > done) {
        CodePoint before = last_code_point(text.substr(done, begin - done));
        if (before.bytes == 0 || !is_space(before.value)) break;
        begin -= before.bytes;
      }
      while (token->strips_right && end < text.size()) {
        CodePoint after = first_code_point(text.substr(end));
        if (after.bytes == 0 || !is_space(after.value)) break;
        end += after.bytes;
      }
      if (begin > done) out.push_back({text.substr(done, begin - done)});
      out.push_back({{}, token->id});
      done = at = end;
    }
  }
  if (done < text.size()) out.push_back({text.substr(done)});
}

}  // namespace hearth::text
