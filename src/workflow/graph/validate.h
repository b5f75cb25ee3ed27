// Validation of a prompt before it is queued, with ComfyUI's error objects: the class of every node, then from each
// output backwards the inputs of what it needs. Converts literals and writes them back into the graph. Deep graphs and
// hostile values cost no stack and no more than a look at each link.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "workflow/graph/graph.h"
#include "workflow/registry.h"

namespace hearth::workflow {

struct Verdict {
  bool is_valid = false;              // at least one output can run
  Value error;                        // {type, message, details, extra_info} when not valid, else null
  Value node_errors = Value::object();
  std::vector<std::string> outputs;   // that can run, in the order of the prompt
};

/// `targets`: partial_execution_targets; only these ids count as outputs.
Verdict validate(Graph& graph, const Registry& registry, const Places& places,
                 const std::optional<std::vector<std::string>>& targets = std::nullopt);

/// A class Hearth lacks: the pack it is known from ("" when unknown, "ComfyUI" for its own nodes), that pack's page,
/// the native node that comes nearest ("" when none does), and for ComfyUI's own nodes what they are for.
struct MissingClass {
  std::string pack, url, nearest, purpose;
};
MissingClass describe_missing(std::string_view class_name, const Registry& registry);

/// Every unknown class of a prompt at once, for `workflow check`: the answer to a client names the first only.
std::vector<std::string> missing_classes(const Graph& graph, const Registry& registry);

}  // namespace hearth::workflow
