// A set of texts that can be walked byte by byte: the longest added token at a place, all pieces that start there.
// Edges lie in one open-addressing table keyed by (node, byte): about 20 bytes an edge. Filled once, then immutable.
#pragma once
#include <cstdint>
#include <string_view>
#include <vector>

namespace hearth::text {

class Trie {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;
  static constexpr uint32_t kRoot = 0;

  /// `value` >= 0. A text inserted twice keeps its first value.
  void insert(std::string_view text, int32_t value);
  bool empty() const { return values_.size() == 1; }
  /// The node one byte below, or kNone.
  uint32_t child(uint32_t node, unsigned char byte) const;
  /// The value of the text that ends at this node, or -1.
  int32_t value(uint32_t node) const { return values_[node]; }
  bool starts(unsigned char byte) const { return roots_[byte] != kNone; }
  size_t bytes() const {  // of memory
    return edges_.capacity() * sizeof(Edge) + (values_.capacity() + roots_.capacity()) * sizeof(uint32_t);
  }

 private:
  struct Edge {
    uint64_t key = UINT64_MAX;
    uint32_t node = 0;
  };
  uint32_t add_child(uint32_t node, unsigned char byte);
  void grow();
  static uint64_t spread(uint64_t key) { return (key * 0x9E3779B97F4A7C15) >> 20; }

  std::vector<Edge> edges_;
  size_t used_edges_ = 0;
  std::vector<int32_t> values_ = {-1};
  std::vector<uint32_t> roots_ = std::vector<uint32_t>(256, kNone);
};

}  // namespace hearth::text
