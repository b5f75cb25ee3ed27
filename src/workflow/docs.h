// The page docs/nodes.md, rendered from the registry.
#pragma once
#include <string>

#include "workflow/registry.h"

namespace hearth::workflow {

std::string render_nodes_page(const Registry& registry);

}  // namespace hearth::workflow
