#include "text/tokenize/trie.h"

#include <algorithm>

namespace hearth::text {

void Trie::insert(std::string_view text, int32_t value) {
  uint32_t node = kRoot;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    uint32_t next = child(node, byte);
    node = next == kNone ? add_child(node, byte) : next;
  }
  if (values_[node] < 0) values_[node] = value;
}

uint32_t Trie::child(uint32_t node, unsigned char byte) const {
  if (node == kRoot) return roots_[byte];
  if (edges_.empty()) return kNone;
  uint64_t key = static_cast<uint64_t>(node) << 8 | byte;
  size_t mask = edges_.size() - 1;
  for (size_t at = spread(key) & mask;; at = (at + 1) & mask) {
    if (edges_[at].key == key) return edges_[at].node;
    if (edges_[at].key == UINT64_MAX) return kNone;
  }
}

uint32_t Trie::add_child(uint32_t node, unsigned char byte) {
  auto made = static_cast<uint32_t>(values_.size());
  values_.push_back(-1);
  if (node == kRoot) return roots_[byte] = made;
  if ((used_edges_ + 1) * 4 > edges_.size() * 3) grow();
  uint64_t key = static_cast<uint64_t>(node) << 8 | byte;
  size_t mask = edges_.size() - 1;
  size_t at = spread(key) & mask;
  while (edges_[at].key != UINT64_MAX) at = (at + 1) & mask;
  edges_[at] = {key, made};
  ++used_edges_;
  return made;
}

void Trie::grow() {
  std::vector<Edge> old(std::max<size_t>(64, edges_.size() * 2));
  old.swap(edges_);
  size_t mask = edges_.size() - 1;
  for (const Edge& edge : old) {
    if (edge.key == UINT64_MAX) continue;
    size_t at = spread(edge.key) & mask;
    while (edges_[at].key != UINT64_MAX) at = (at + 1) & mask;
    edges_[at] = edge;
  }
}

}  // namespace hearth::text
