// What happens to a request before its model sees it: the chat template writes its messages out, the tokenizer makes
// tokens of them, and every sampling parameter gets a value. Pure functions; any thread.
#pragma once
#include <functional>

#include "core/base/result.h"
#include "runtime/generate/loaded_model.h"
#include "runtime/generate/model_worker.h"
#include "runtime/request.h"

namespace hearth {

/// The request with its tokens and parameters; sink and time of arrival are left to the caller. Sampling parameters
/// come from the request, else from `configured`, else from the model's own files, else they are off. `is_cancelled` is
/// asked every few milliseconds of a long prompt.
/// Refuses with kContextLength (both numbers), kInvalidArgument (token ids, what the template raises), kUnsupported (no
/// chat template), kCancelled.
Result<PreparedRequest> prepare_request(const GenerateRequest& request, const LoadedModel& model,
                                        const SamplingOptions& configured, std::function<bool()> is_cancelled);

}  // namespace hearth
