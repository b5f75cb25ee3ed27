// The answer of GET /plan: from query fields to bytes, the largest batch or context, and seconds. Pure but for the
// resolver it is given.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/base/value.h"
#include "planner/fit/machine.h"
#include "planner/measure/subject.h"

namespace hearth::planner {

/// Finds what a name stands for: an installed model, a file, an entry of the catalogue.
using Resolver =
    std::function<Result<std::shared_ptr<const Subject>>(const std::string& name, const std::string& quant)>;

/// Fields: model (needed), quant; width, height, batch ("auto" or a number), steps, cfg, tile; context, parallel,
/// prompt, kv_dtype. kInvalidArgument naming the field, what was got and wanted; what `resolve` returned.
/// Of a picture model: largest_batch, batch, seconds (a lower bound), bytes; of a language model: largest_context,
/// largest_parallel, seconds of prefill and of a token. Both: fits, free_bytes and the whole plan under "plan".
Result<Value> answer(const std::map<std::string, std::string>& fields, const Resolver& resolve,
                     const Machine& machine);

/// What is asked, from such fields; shared with the command line.
Result<Ask> read_ask(const std::map<std::string, std::string>& fields);

}  // namespace hearth::planner
