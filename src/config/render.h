// The configuration as text for people. Secrets are masked wherever a value is printed.
#pragma once
#include <string>

#include "config/config.h"

namespace hearth::config {

/// `hearth config show`: each effective value and where it came from.
std::string show(const Config& config);
/// `hearth config example`: a hearth.toml with every field, its meaning and default, commented out.
std::string example();
/// The tables of docs/configuration.md: every field, and the variables that are no field.
std::string markdown();
std::string variables_markdown();

}  // namespace hearth::config
