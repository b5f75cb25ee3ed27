// Any body is either accepted within the documented limits or refused with a client's error; never anything else.
#include <cstdlib>

#include "api/common/error.h"
#include "api/openai/request.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hearth;
  std::string_view body(reinterpret_cast<const char*>(data), size);
  for (openai::Endpoint endpoint : {openai::Endpoint::kChat, openai::Endpoint::kCompletion}) {
    api::ParseNotes notes;
    auto call = openai::parse_body(endpoint, body, notes);
    if (!call) {
      if (api::to_api_error(call.error(), notes.param).status != 400) std::abort();
      continue;
    }
    const GenerateRequest& request = call->generate;
    if (request.choices < 1 || request.choices > openai::kMaxChoices) std::abort();
    if (request.stop.size() > static_cast<size_t>(openai::kMaxStops)) std::abort();
    if (request.top_logprobs < 0 || request.top_logprobs > openai::kMaxTopLogprobs) std::abort();
    if (request.max_tokens && *request.max_tokens < 0) std::abort();
    if (request.sampling.temperature && !(*request.sampling.temperature >= 0 && *request.sampling.temperature <= 2)) {
      std::abort();
    }
    for (const auto& [token, bias] : request.sampling.logit_bias) {
      if (token < 0 || !(bias >= -100 && bias <= 100)) std::abort();
    }
  }
  return 0;
}
