// What nodes that save files share.
#pragma once
#include "workflow/files/picture_store.h"
#include "workflow/nodes/common.h"

namespace hearth::workflow {

/// What a saved file says about how it was made: prompt, then every entry of extra_pnginfo, each as JSON text. Empty
/// where files carry no metadata.
Value text_chunks(const NodeCall& call);

/// A file as a node's output lists it; `type` is "output" or "temp".
Value shown_file(const std::string& file, const SavePlace& place, std::string_view type);

}  // namespace hearth::workflow
