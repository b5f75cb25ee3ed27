#include "workflow/execute/plan.h"

#include <algorithm>

namespace hearth::workflow {

Plan::Plan(const Graph& graph, const Registry& registry, std::function<bool(const std::string&)> is_cached)
    : graph_(graph), registry_(registry), is_cached_(std::move(is_cached)) {}

void Plan::add(const std::string& root) {
  std::vector<std::string> open{root};
  std::vector<std::pair<std::string, std::string>> links;
  while (!open.empty()) {
    std::string id = std::move(open.back());
    open.pop_back();
    if (waiting_.contains(id)) continue;
    waiting_[id].order = added_++;
    for (const Link& source : links_of(id)) {
      if (!is_cached_(source.node)) open.push_back(source.node);
      links.emplace_back(source.node, id);
    }
  }
  for (const auto& [from, to] : links) link(from, to);
  is_ranked_ = false;
}

void Plan::require(const std::string& id, std::string_view input) {
  const Value* inputs = graph_.inputs(id);
  const Value* value = inputs ? inputs->find(input) : nullptr;
  std::optional<Link> source = value ? as_link(*value) : std::nullopt;
  if (!source || !graph_.has(source->node)) return;
  if (!is_cached_(source->node)) add(source->node);
  link(source->node, id);
  is_ranked_ = false;
}

void Plan::link(const std::string& from, const std::string& to) {
  ++readers_[from];
  auto source = waiting_.find(from);
  if (source == waiting_.end() || is_cached_(from)) return;
  if (source->second.blocks.insert(to).second) ++waiting_[to].blocked_by;
}

std::vector<Link> Plan::links_of(const std::string& id) const {
  std::vector<Link> links;
  const Value* inputs = graph_.inputs(id);
  if (!inputs) return links;
  for (const auto& [name, value] : inputs->as_object()) {
    std::optional<Link> source = as_link(value);
    if (source && graph_.has(source->node) && !is_lazy(id, name)) links.push_back(std::move(*source));
  }
  return links;
}

bool Plan::is_lazy(const std::string& id, std::string_view input) const {
  const NodeType* type = registry_.find(graph_.class_of(id));
  const InputSpec* spec = type ? type->input(input) : nullptr;
  return spec && spec->options.find("lazy");
}

bool Plan::is_output(const std::string& id) const {
  const NodeType* type = registry_.find(graph_.class_of(id));
  return type && type->is_output;
}

int Plan::rank(const Node& node, const std::string& id) const {
  if (is_output(id)) return 0;
  int best = 3;
  for (const std::string& next : node.blocks) {
    if (is_output(next)) return 1;
    auto after = waiting_.find(next);
    if (best == 2 || after == waiting_.end()) continue;
    const std::set<std::string>& beyond = after->second.blocks;
    if (std::any_of(beyond.begin(), beyond.end(), [&](const std::string& other) { return is_output(other); })) best = 2;
  }
  return best;
}

std::optional<std::string> Plan::next() const {
  if (!is_ranked_) {
    ready_.clear();
    for (const auto& [id, node] : waiting_) {
      if (node.blocked_by == 0) ready_.insert({{rank(node, id), node.order}, id});
    }
    is_ranked_ = true;
  }
  if (ready_.empty()) return std::nullopt;
  return ready_.begin()->second;
}

void Plan::done(const std::string& id) {
  auto found = waiting_.find(id);
  Node node = std::move(found->second);
  ready_.erase({{rank(node, id), node.order}, id});
  waiting_.erase(found);
  for (const std::string& next : node.blocks) {
    auto waiting = waiting_.find(next);
    if (waiting == waiting_.end() || --waiting->second.blocked_by > 0) continue;
    if (is_ranked_) ready_.insert({{rank(waiting->second, next), waiting->second.order}, next});
  }
}

size_t Plan::readers(const std::string& id) const {
  auto found = readers_.find(id);
  return found == readers_.end() ? 0 : found->second;
}

std::vector<std::string> Plan::waiting() const {
  std::vector<std::string> ids;
  for (const auto& [id, node] : waiting_) ids.push_back(id);
  std::sort(ids.begin(), ids.end(),
            [&](const auto& a, const auto& b) { return waiting_.at(a).order < waiting_.at(b).order; });
  return ids;
}

}  // namespace hearth::workflow
