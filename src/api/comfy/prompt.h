// The body of POST /prompt, and the answers it gets, as ComfyUI writes them. Checks everything but the graph itself,
// which workflow/ validates. Pure functions; no state.
#pragma once
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/value.h"

namespace hearth::comfy {

struct PromptCall {
  Value prompt;                      // the API-format graph, an object
  std::optional<std::string> id;     // canonical lower-case UUID; absent: the server makes one
  std::optional<double> number;      // place in the queue; absent: the server's counter
  bool front = false;                // without `number`: before everything that waits
  Value extra_data = Value::object();  // as sent, with client_id, without secrets
  Value secrets = Value::object();     // keys that appear in no queue, history or file
  std::string client_id;             // whose WebSocket hears of it; "" nobody's
  std::optional<std::vector<std::string>> targets;  // partial_execution_targets
};

/// {type, message, details, extra_info} of a refused prompt.
struct PromptError {
  std::string type, message, details;
  Value extra_info = Value::object();
};

struct PromptParse {
  std::optional<PromptCall> call;
  PromptError error;  // when there is no call
};

PromptParse parse_prompt(std::string_view body);

/// Body of a 400. `error` may also be what validation says, already in this shape.
Value prompt_refusal(const PromptError& error);
Value prompt_refusal(Value error, Value node_errors);
/// Body of the 200.
Value prompt_answer(std::string_view id, double number, Value node_errors);

/// 8-4-4-4-12 lower-case hexadecimal digits.
bool is_canonical_uuid(std::string_view text);

/// A queue number as JSON: whole numbers without a fraction.
Value number_value(double number);

}  // namespace hearth::comfy
