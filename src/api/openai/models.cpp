#include "api/openai/models.h"

#include <algorithm>

namespace hearth::openai {
namespace {

Value summary_body(const ModelSummary& model) {
  Value aliases = Value::list();
  for (const std::string& alias : model.aliases) aliases.push(alias);
  // The file's name, not its folder: a client has no use for how the host is laid out.
  std::string file = model.path.substr(model.path.find_last_of('/') + 1);
  Value context = model.context_tokens > 0 ? Value(model.context_tokens) : Value();
  Value architecture = model.architecture.empty() ? Value() : Value(model.architecture);
  return Value::object({{"id", model.name},
                        {"object", "model"},
                        {"created", model.created},
                        {"owned_by", "hearth"},
                        {"context_length", context},
                        {"meta", Value::object({{"aliases", std::move(aliases)},
                                                {"architecture", architecture},
                                                {"file", file},
                                                {"context_length", context},
                                                {"is_loaded", model.is_loaded},
                                                {"resident_bytes", model.resident_bytes}})}});
}

}  // namespace

Value models_body(std::span<const ModelSummary> models) {
  Value data = Value::list();
  for (const ModelSummary& model : models) data.push(summary_body(model));
  return Value::object({{"object", "list"}, {"data", std::move(data)}});
}

std::optional<Value> model_body(std::span<const ModelSummary> models, std::string_view name) {
  for (const ModelSummary& model : models) {
    if (model.name == name) return summary_body(model);
  }
  for (const ModelSummary& model : models) {
    if (std::find(model.aliases.begin(), model.aliases.end(), name) != model.aliases.end()) return summary_body(model);
  }
  return std::nullopt;
}

}  // namespace hearth::openai
