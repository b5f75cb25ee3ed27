// Graph: a prompt in API format: nodes by id with a class, literal inputs and links. It keeps the JSON it was made
// from, into which validation writes converted values back, so that metadata and hidden inputs show what really ran. A
// plain value; one thread.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "core/base/value.h"

namespace hearth::workflow {

struct Link {
  std::string node;
  int64_t output = 0;
};

/// A two-element list of a string and a number is a link; anything else is a literal.
std::optional<Link> as_link(const Value& input);

class Graph {
 public:
  /// kInvalidArgument when `prompt` is no object of objects.
  static Result<Graph> parse(Value prompt);

  const Value& prompt() const { return prompt_; }
  size_t size() const { return prompt_.size(); }
  std::vector<std::string> ids() const;  // as the prompt has them
  bool has(std::string_view id) const { return prompt_.find(id) != nullptr; }
  /// "" when the node has none that is a string.
  std::string class_of(std::string_view id) const;
  std::optional<std::string> title_of(std::string_view id) const;  // _meta.title
  /// The node's inputs; nullptr when there is no such node or it has no object of inputs.
  const Value* inputs(std::string_view id) const;
  /// Replaces one input that exists.
  void set_input(std::string_view id, std::string_view name, Value value);

 private:
  Value prompt_;
};

}  // namespace hearth::workflow
