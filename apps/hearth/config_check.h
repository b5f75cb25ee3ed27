// What `hearth config check` looks at beyond the text of the configuration: the files and models that it names.
#pragma once
#include <string>
#include <vector>

#include "config/config.h"

namespace hearth::app {

/// One line a problem: place, key, value, what is wrong and what to do. Reads folders, chat templates and the model
/// store's list; opens no model.
std::vector<std::string> check_references(const config::Config& config);

}  // namespace hearth::app
