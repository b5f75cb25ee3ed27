// GET /v1/models and /v1/models/{id}. Pure functions.
#pragma once
#include <optional>
#include <span>
#include <string_view>

#include "core/base/value.h"
#include "runtime/request.h"

namespace hearth::openai {

/// {"object": "list", "data": [...]}
Value models_body(std::span<const ModelSummary> models);

/// One model by name or alias; nothing when there is none.
std::optional<Value> model_body(std::span<const ModelSummary> models, std::string_view name);

}  // namespace hearth::openai
