// run_node: one node over its inputs: once for each index of the longest list, or once with whole lists, and the
// outputs of the calls put together.
#pragma once
#include <string>
#include <vector>

#include "workflow/services.h"

namespace hearth::workflow {

/// Input names with the values that arrived, in declared order; an absent input is not in it.
using ArrivedInputs = std::vector<std::pair<std::string, NodeValues>>;

/// What the calls of a node gave together. Throws what a call throws; kCancelled between calls when interrupted.
NodeResult run_node(const NodeType& type, const ArrivedInputs& inputs, const NodeCall::About& about,
                    NodeServices& services, CallWatch& watch);

/// Which lazy inputs are needed and have not arrived.
std::vector<std::string> needed_inputs(const NodeType& type, const ArrivedInputs& inputs, const NodeCall::About& about,
                                       NodeServices& services, CallWatch& watch);

}  // namespace hearth::workflow
