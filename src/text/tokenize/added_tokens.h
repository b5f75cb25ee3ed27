// Tokens that are found in the text itself before it is cut into words: special tokens and other added ones.
// Immutable after the last add(); shared by threads.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenize/trie.h"

namespace hearth::text {

struct AddedToken {
  std::string text;
  int32_t id = -1;
  bool is_special = false;
  bool single_word = false;  // only where no word character touches it
  bool strips_left = false, strips_right = false;  // swallows white space beside it
};

/// A stretch of text, or one token found in it.
struct Fragment {
  std::string_view text;
  int32_t id = -1;  // >= 0: the token
};

class AddedTokens {
 public:
  static constexpr size_t kLongest = 4096;  // bytes; bounds what matching costs per byte of text

  /// Throws Error{kCorruptFile} when the text is empty, longer than kLongest or malformed.
  void add(AddedToken token);
  bool empty() const { return tokens_.empty(); }
  size_t bytes() const;  // of memory

  /// Cuts `text` at the tokens in it, leftmost first, longest first. Special ones count only with `with_special`.
  void partition(std::string_view text, bool with_special, std::vector<Fragment>& out) const;

 private:
  const AddedToken* longest_at(std::string_view text, size_t at, bool with_special) const;

  std::vector<AddedToken> tokens_;
  Trie plain_, all_;  // values index tokens_
};

}  // namespace hearth::text
