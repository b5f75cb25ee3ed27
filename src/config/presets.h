// The presets that come with the program. A [presets.NAME] table changes one or adds another.
#pragma once
#include <vector>

#include "config/config.h"

namespace hearth::config {

/// balanced: one picture in 20 steps; batch: eight at once; quality: 30 steps at a guidance scale of 9.
std::vector<Preset> shipped_presets();

}  // namespace hearth::config
