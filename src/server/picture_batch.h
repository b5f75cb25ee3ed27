// How many pictures are drawn together where a request leaves that to memory ("auto").
#pragma once
#include <cstdint>
#include <string>

#include "config/config.h"
#include "workflow/compose.h"

namespace hearth::server {

/// As many of `options`' pictures, drawn with the checkpoint at `path`, as `room` bytes hold by what the planner
/// measures, at least 1 and at most `most`. `defaults`: where the options leave something open. Throws what reading the
/// file's header gives.
int64_t pictures_at_once(const workflow::PictureOptions& options, const std::string& path,
                         const config::Pictures& defaults, int64_t room, int64_t most);

}  // namespace hearth::server
