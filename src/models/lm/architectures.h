// Bind functions of the architecture files, for the registry alone.
#pragma once
#include <memory>

#include "models/lm/language_model.h"

namespace hearth {

std::unique_ptr<LanguageModel> bind_llama(Weights& w, const LmConfig& f);
std::unique_ptr<LanguageModel> bind_qwen3(Weights& w, const LmConfig& f);
std::unique_ptr<LanguageModel> bind_gemma3(Weights& w, const LmConfig& f);

}  // namespace hearth
