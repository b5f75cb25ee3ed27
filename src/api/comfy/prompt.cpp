#include "api/comfy/prompt.h"

#include <cmath>
#include <utility>

#include <fmt/format.h>

#include "formats/json/json.h"

namespace hearth::comfy {
namespace {

constexpr double kLargestExact = 9'007'199'254'740'992;  // 2^53
constexpr const char* kSecretKeys[] = {"auth_token_comfy_org", "api_key_comfy_org"};

PromptParse refuse(std::string type, std::string message, std::string details) {
  return {std::nullopt, {std::move(type), std::move(message), std::move(details)}};
}

PromptParse wrong_field(std::string_view field, std::string_view wanted, const Value& got) {
  return refuse("invalid_prompt", fmt::format("{} must be {}", field, wanted),
                fmt::format("got {}", got.kind_name()));
}

const Value* given(const Value& body, std::string_view name) {
  const Value* value = body.find(name);
  return value && !value->is_null() ? value : nullptr;
}

// Private keys leave extra_data here, before it is stored or shown anywhere.
void split_secrets(PromptCall& call) {
  Value shown = Value::object();
  for (auto& [key, value] : call.extra_data.as_object()) {
    bool is_secret = false;
    for (const char* secret : kSecretKeys) is_secret = is_secret || key == secret;
    (is_secret ? call.secrets : shown).set(key, std::move(value));
  }
  call.extra_data = std::move(shown);
}

std::optional<PromptParse> take_placing(const Value& body, PromptCall& call) {
  if (const Value* id = given(body, "prompt_id")) {
    if (!id->is_string() || !is_canonical_uuid(id->as_string())) {
      return refuse("invalid_prompt_id", "prompt_id must be a valid UUID",
                    "wanted 36 characters such as 0f8fad5b-d9cb-469f-a165-70867728950e");
    }
    call.id = id->as_string();
  }
  if (const Value* number = given(body, "number")) {
    if (!number->is_number()) return wrong_field("number", "a number", *number);
    call.number = number->as_double();
  }
  if (const Value* front = given(body, "front")) call.front = front->is_bool() && front->as_bool();
  return std::nullopt;
}

std::optional<PromptParse> take_targets(const Value& body, PromptCall& call) {
  const Value* targets = given(body, "partial_execution_targets");
  if (!targets) return std::nullopt;
  if (!targets->is_list()) return wrong_field("partial_execution_targets", "a list of node ids", *targets);
  call.targets.emplace();
  for (const Value& id : targets->as_list()) {
    if (!id.is_string()) return wrong_field("partial_execution_targets", "a list of node ids", id);
    call.targets->push_back(id.as_string());
  }
  return std::nullopt;
}

}  // namespace

bool is_canonical_uuid(std::string_view text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool is_hyphen = i == 8 || i == 13 || i == 18 || i == 23;
    const bool is_hex = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
    if (is_hyphen ? text[i] != '-' : !is_hex) return false;
  }
  return true;
}

PromptParse parse_prompt(std::string_view body) {
  auto parsed = json::parse(body);
  if (!parsed) return refuse("invalid_json", "The request body is not JSON", parsed.error().message());
  if (!parsed->is_object()) return wrong_field("The request body", "an object", *parsed);
  PromptCall call;
  Value* prompt = parsed->find("prompt");
  if (!prompt || prompt->is_null()) return refuse("no_prompt", "No prompt provided", "No prompt provided");
  if (!prompt->is_object()) return wrong_field("prompt", "an object of nodes", *prompt);
  if (auto wrong = take_placing(*parsed, call)) return std::move(*wrong);
  if (auto wrong = take_targets(*parsed, call)) return std::move(*wrong);
  if (const Value* extra = given(*parsed, "extra_data")) {
    if (!extra->is_object()) return wrong_field("extra_data", "an object", *extra);
    call.extra_data = *extra;
  }
  if (const Value* client = given(*parsed, "client_id")) call.extra_data.set("client_id", *client);
  if (const Value* client = call.extra_data.find("client_id"); client && client->is_string()) {
    call.client_id = client->as_string();
  }
  split_secrets(call);
  call.prompt = std::move(*prompt);
  return {std::move(call), {}};
}

Value prompt_refusal(const PromptError& error) {
  return prompt_refusal(Value::object({{"type", error.type},
                                       {"message", error.message},
                                       {"details", error.details},
                                       {"extra_info", error.extra_info}}),
                        Value::object());
}

Value prompt_refusal(Value error, Value node_errors) {
  return Value::object({{"error", std::move(error)}, {"node_errors", std::move(node_errors)}});
}

Value number_value(double number) {
  const bool is_whole = std::trunc(number) == number && std::abs(number) <= kLargestExact;
  return is_whole ? Value(static_cast<int64_t>(number)) : Value(number);
}

Value prompt_answer(std::string_view id, double number, Value node_errors) {
  return Value::object({{"prompt_id", id}, {"number", number_value(number)}, {"node_errors", std::move(node_errors)}});
}

}  // namespace hearth::comfy
