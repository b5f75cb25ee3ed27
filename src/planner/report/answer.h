// The answer of GET /plan: from query fields to bytes, the largest batch or context, seconds and joules. Pure but for
// what it is given. docs/planner.md describes every field.
#pragma once
#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>

#include "core/base/result.h"
#include "core/base/value.h"
#include "planner/catalogue/shelf.h"
#include "planner/fit/machine.h"
#include "planner/report/report.h"

namespace hearth::planner {

using Fields = std::map<std::string, std::string>;

/// What the machine that answers could give a model now, as its governor sees it.
struct Room {
  int64_t free_bytes = 0;  // at once
  int64_t idle_bytes = 0;  // more when what is idle leaves
  int64_t bytes() const { return free_bytes + idle_bytes; }
};

/// What an answer is made from.
struct Desk {
  Shelf shelf;
  /// By the field "machine", "this" where it is absent.
  std::function<Result<Machines>(const std::string& name)> machines;
  std::function<std::optional<Room>(bool for_pictures)> room{};  // of the machine "this"; empty: not known
  /// The model of that name is in memory and serves, as own_ask says; empty: nobody knows.
  std::function<bool(const std::string& name)> is_loaded{};
  Ask ask{};                                                     // where the fields say nothing
  std::function<std::optional<Ask>(const std::string& name)> own_ask{};  // in its place, for a model with its own
  ReportOptions money{};
};

/// Fields: model (needed), quant, machine; width, height, batch ("auto" or a number), steps, cfg, tile; ctx or context,
/// parallel, prompt, kv_dtype. kInvalidArgument naming the field, what was got and wanted; kNotFound of a model or a
/// machine, naming the nearest; throws kCancelled soon after `stop`.
Result<Value> answer(const Fields& fields, const Desk& desk, const std::stop_token& stop = {});

/// `ask` with what such fields say; shared with the command line. "auto" leaves the batch as it is.
Result<Ask> read_ask(const Fields& fields, Ask ask = {});

}  // namespace hearth::planner
