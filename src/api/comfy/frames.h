// WebSocket frames as ComfyUI's clients read them: JSON text frames and binary previews (integers big-endian). Pure.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "core/base/value.h"

namespace hearth::comfy {

/// {"type": ..., "data": ...}
std::string text_frame(std::string_view type, const Value& data);
/// `sid` is named in the first frame of a socket only; "" leaves it out.
std::string status_frame(int64_t queue_remaining, std::string_view sid = "");

/// Type 1: a preview without a word about it. `mime` is image/jpeg or image/png.
std::string preview_frame(std::string_view mime, std::string_view image);
/// Type 4: the same with {node_id, prompt_id, display_node_id, parent_node_id, real_node_id, image_type}.
std::string described_preview_frame(const Value& metadata, std::string_view image);
/// Type 3: text shown on a node.
std::string node_text_frame(std::string_view node_id, std::string_view text);

/// The flags object when `text` is a client's {"type": "feature_flags", "data": {...}}, else null.
Value feature_flags_of(std::string_view text);

}  // namespace hearth::comfy
