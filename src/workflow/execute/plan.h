// Plan: which nodes of a prompt wait for which, and which of the ready ones runs next: an output first, then a node
// that feeds an output, then one two steps away, else the one that was found first. Pure; knows nothing of values.
#pragma once
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "workflow/graph/graph.h"
#include "workflow/registry.h"

namespace hearth::workflow {

class Plan {
 public:
  /// `is_cached` says whose outputs are there already: such a node is left out unless it is an output itself.
  /// Borrows all three for its life.
  Plan(const Graph& graph, const Registry& registry, std::function<bool(const std::string&)> is_cached);

  /// A wanted output with everything it needs but its lazy inputs.
  void add(const std::string& id);
  /// A lazy input that turned out to be needed: its source must run first.
  void require(const std::string& id, std::string_view input);

  bool is_empty() const { return waiting_.empty(); }
  /// Nothing when every waiting node waits for another: a cycle.
  std::optional<std::string> next() const;
  /// `id` ran: those that waited for it alone are ready.
  void done(const std::string& id);
  /// How many waiting nodes read the outputs of `id`.
  size_t readers(const std::string& id) const;
  /// Linked nodes of `id` that are inputs of its declared kind.
  std::vector<Link> links_of(const std::string& id) const;
  std::vector<std::string> waiting() const;

 private:
  struct Node {
    size_t order = 0;
    size_t blocked_by = 0;
    std::set<std::string> blocks;
  };
  void link(const std::string& from, const std::string& to);
  bool is_lazy(const std::string& id, std::string_view input) const;
  bool is_output(const std::string& id) const;
  int rank(const Node& node, const std::string& id) const;

  const Graph& graph_;
  const Registry& registry_;
  std::function<bool(const std::string&)> is_cached_;
  std::unordered_map<std::string, Node> waiting_;
  std::unordered_map<std::string, size_t> readers_;
  size_t added_ = 0;
  mutable std::set<std::pair<std::pair<int, size_t>, std::string>> ready_;
  mutable bool is_ranked_ = false;
};

}  // namespace hearth::workflow
