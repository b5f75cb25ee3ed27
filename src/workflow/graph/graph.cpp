#include "workflow/graph/graph.h"

#include <fmt/format.h>

namespace hearth::workflow {

std::optional<Link> as_link(const Value& input) {
  if (!input.is_list() || input.size() != 2) return std::nullopt;
  const Value::List& pair = input.as_list();
  if (!pair[0].is_string() || pair[1].kind() != Value::Kind::kInt) return std::nullopt;
  return Link{pair[0].as_string(), pair[1].as_int()};
}

Result<Graph> Graph::parse(Value prompt) {
  if (!prompt.is_object()) {
    return unexpected(Code::kInvalidArgument,
                      fmt::format("a prompt is an object of nodes by id, got {}", prompt.kind_name()));
  }
  for (const auto& [id, node] : prompt.as_object()) {
    if (!node.is_object()) {
      return unexpected(Code::kInvalidArgument,
                        fmt::format("node '{}' is an object with class_type and inputs, got {}", id, node.kind_name()));
    }
  }
  Graph graph;
  graph.prompt_ = std::move(prompt);
  return graph;
}

std::vector<std::string> Graph::ids() const {
  std::vector<std::string> names;
  if (!prompt_.is_object()) return names;
  names.reserve(prompt_.size());
  for (const auto& member : prompt_.as_object()) names.push_back(member.first);
  return names;
}

std::string Graph::class_of(std::string_view id) const {
  const Value* node = prompt_.find(id);
  const Value* name = node ? node->find("class_type") : nullptr;
  return name && name->is_string() ? name->as_string() : "";
}

std::optional<std::string> Graph::title_of(std::string_view id) const {
  const Value* node = prompt_.find(id);
  const Value* meta = node ? node->find("_meta") : nullptr;
  const Value* title = meta ? meta->find("title") : nullptr;
  if (!title || !title->is_string()) return std::nullopt;
  return title->as_string();
}

const Value* Graph::inputs(std::string_view id) const {
  const Value* node = prompt_.find(id);
  const Value* inputs = node ? node->find("inputs") : nullptr;
  return inputs && inputs->is_object() ? inputs : nullptr;
}

void Graph::set_input(std::string_view id, std::string_view name, Value value) {
  Value* node = prompt_.find(id);
  Value* inputs = node ? node->find("inputs") : nullptr;
  if (Value* input = inputs ? inputs->find(name) : nullptr) *input = std::move(value);
}

}  // namespace hearth::workflow
