// The "precompiled charsmap" of SentencePiece: a double array that maps character sequences to replacements. Immutable.
// Blob layout: uint32 byte count of the array, the array (uint32 units), then zero-terminated replacements.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::text {

class Charsmap {
 public:
  struct Hit {
    size_t bytes = 0;  // of the input; 0: nothing maps here
    std::string_view replacement;
  };

  Charsmap() = default;  // maps nothing
  /// Throws Error{kCorruptFile} when the sizes in the blob do not fit each other.
  explicit Charsmap(std::string_view blob);

  bool empty() const { return units_.empty(); }
  Hit longest(std::string_view text) const { return walk(text, true); }
  Hit shortest(std::string_view text) const { return walk(text, false); }

 private:
  Hit walk(std::string_view text, bool longest) const;
  std::string_view replacement(uint32_t offset) const;

  std::vector<uint32_t> units_;
  std::string replacements_;
};

}  // namespace hearth::text
