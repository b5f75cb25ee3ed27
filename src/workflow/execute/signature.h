// Signatures of nodes: equal where class, fingerprint, literal inputs and the signatures of all linked nodes are equal,
// whatever the ids. A node without one ("") is never reused: it or an ancestor always runs anew, or its links lead
// nowhere.
#pragma once
#include <string>
#include <unordered_map>

#include "workflow/graph/graph.h"
#include "workflow/registry.h"

namespace hearth::workflow {

/// For every node of the graph, by id. Costs one look at each node and link.
std::unordered_map<std::string, std::string> signatures(const Graph& graph, const Registry& registry,
                                                        const Places& places);

}  // namespace hearth::workflow
