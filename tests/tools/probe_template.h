// The op "template" of text_probe: parses `source` as a chat template and renders it with `context`.
#pragma once
#include <optional>
#include <string_view>

#include "core/base/value.h"

namespace hearth::probe {

/// {"op": "template", "source": ..., "context": {...}, "now": unix seconds} -> {"text": ...}; nothing for other ops.
/// Throws the Error of parse or render.
std::optional<Value> template_op(std::string_view op, const Value& request);

}  // namespace hearth::probe
