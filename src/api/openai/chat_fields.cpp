// POST /v1/chat/completions: messages, tools and what a chat template takes.
#include <fmt/format.h>

#include "api/openai/draft.h"
#include "api/openai/messages.h"

namespace hearth::openai {
namespace {

using api::FieldKind;

ChatPrompt& chat(Draft& d) { return std::get<ChatPrompt>(d.call.generate.prompt); }

Result<void> set_messages(Draft& d, const Value& v) {
  auto messages = read_messages(v);
  if (!messages) return unexpected(messages.error());
  chat(d).messages = std::move(*messages);
  return {};
}

Result<void> set_tools(Draft& d, const Value& v) {
  auto tools = read_tools(v);
  if (!tools) return unexpected(tools.error());
  if (tools->size() > 0) d.tools = std::move(*tools);
  return {};
}

Result<void> set_tool_choice(Draft& d, const Value& v) {
  if (v.is_string() && (v.as_string() == "auto" || v.as_string() == "none")) {
    d.tools_allowed = v.as_string() == "auto";
    chat(d).request_fields.set("tool_choice", v);
    return {};
  }
  if (v.is_object() || (v.is_string() && v.as_string() == "required")) {
    return unexpected(Code::kUnsupported, "'tool_choice' asks for a forced tool call, which is not supported yet: use "
                                          "\"auto\" or \"none\"");
  }
  return unexpected(Code::kInvalidArgument, "'tool_choice' must be \"auto\" or \"none\"");
}

Result<void> set_response_format(Draft& d, const Value& v) {
  const Value* type = v.find("type");
  if (!type || !type->is_string()) return unexpected(Code::kInvalidArgument, "'response_format.type' must be a string");
  const std::string& name = type->as_string();
  if (name == "text") return chat(d).request_fields.set("response_format", v), Result<void>();
  if (name == "json_object" || name == "json_schema") {
    return unexpected(Code::kUnsupported, fmt::format("'response_format' of type '{}' is not supported yet: only "
                                                      "\"text\" is; ask for JSON in the messages", name));
  }
  return unexpected(Code::kInvalidArgument, "'response_format.type' must be \"text\"");
}

Result<void> check_modalities(Draft&, const Value& v) {
  for (const Value& item : v.as_list()) {
    if (!item.is_string()) return unexpected(Code::kInvalidArgument, "'modalities' must be an array of strings");
    if (item.as_string() != "text") {
      return unexpected(Code::kUnsupported, "'modalities' other than \"text\" are not supported: no model here answers "
                                            "in sound or pictures");
    }
  }
  return {};
}

Result<void> refuse_audio(Draft&, const Value&) {
  return unexpected(Code::kUnsupported, "'audio' output is not supported: leave the field out");
}

Result<void> refuse_functions(Draft&, const Value& v) {
  if (v.is_list() && v.size() == 0) return {};
  return unexpected(Code::kUnsupported, "'functions' and 'function_call' are not supported: use 'tools'");
}

const DraftField kChat[] = {
    {{.name = "messages", .kind = FieldKind::kList, .help = "roles system, developer, user, assistant, tool; "
      "content is a string or an array of text parts (joined by newlines)", .min = 1, .is_required = true},
     set_messages},
    {{.name = "max_completion_tokens", .kind = FieldKind::kInteger, .help = "the newer name of `max_tokens`; wins when "
      "both are given", .fallback = "up to the context's end", .min = 1, .max = 1e9},
     [](Draft& d, const Value& v) { return d.max_completion_tokens = v.as_int(), Result<void>(); }},
    {{.name = "logprobs", .kind = FieldKind::kBool, .help = "log probability of each token", .fallback = "false"},
     [](Draft& d, const Value& v) { return d.call.generate.logprobs = v.as_bool(), Result<void>(); }},
    {{.name = "top_logprobs", .kind = FieldKind::kInteger, .help = "alternatives per token; needs `logprobs`",
      .fallback = "0", .min = 0, .max = kMaxTopLogprobs},
     [](Draft& d, const Value& v) { return d.top_logprobs = static_cast<int>(v.as_int()), Result<void>(); }},
    {{.name = "tools", .kind = FieldKind::kList, .help = "functions the model may call; given to the chat template",
      .fallback = "none", .max = 512},
     set_tools},
    {{.name = "tool_choice", .help = "`auto`, or `none` to hide the tools; given to a chat template that reads it; "
      "forced calls are not supported yet",
      .fallback = "`auto`"},
     set_tool_choice},
    {{.name = "parallel_tool_calls", .kind = FieldKind::kBool, .help = "given to a chat template that reads it",
      .fallback = "the template's"},
     [](Draft& d, const Value& v) { return chat(d).request_fields.set("parallel_tool_calls", v), Result<void>(); }},
    {{.name = "response_format", .kind = FieldKind::kObject, .help = "only `{\"type\": \"text\"}`",
      .fallback = "text"},
     set_response_format},
    {{.name = "chat_template_kwargs", .kind = FieldKind::kObject, .help = "extension: variables for the chat template, "
      "such as `enable_thinking`", .fallback = "none"},
     [](Draft& d, const Value& v) { return chat(d).template_arguments = v, Result<void>(); }},
    {{.name = "add_generation_prompt", .kind = FieldKind::kBool, .help = "extension: false leaves out the opening of "
      "the answer", .fallback = "true"},
     [](Draft& d, const Value& v) { return chat(d).add_generation_prompt = v.as_bool(), Result<void>(); }},
    {{.name = "reasoning_effort", .kind = FieldKind::kString, .help = "given to the chat template under the same name",
      .fallback = "the template's"},
     [](Draft& d, const Value& v) { return d.reasoning_effort = v.as_string(), Result<void>(); }},
    {{.name = "modalities", .kind = FieldKind::kList, .help = "only `[\"text\"]`", .fallback = "text"},
     check_modalities},
    {{.name = "audio", .help = "not supported"}, refuse_audio},
    {{.name = "functions", .help = "not supported: use `tools`"}, refuse_functions},
    {{.name = "function_call", .help = "not supported: use `tools`"}, refuse_functions},
};

}  // namespace

std::span<const DraftField> chat_fields() { return kChat; }

Result<CompletionCall> finish_chat(Draft draft, api::ParseNotes& notes) {
  draft.call.endpoint = Endpoint::kChat;
  if (auto ok = finish_shared(draft, notes); !ok) return unexpected(ok.error());
  GenerateRequest& generate = draft.call.generate;
  if (draft.top_logprobs.value_or(0) > 0 && !generate.logprobs) {
    notes.param = "top_logprobs";
    return unexpected(Code::kInvalidArgument, "'top_logprobs' needs \"logprobs\": true");
  }
  generate.top_logprobs = draft.top_logprobs.value_or(0);
  if (draft.max_completion_tokens) generate.max_tokens = draft.max_completion_tokens;
  if (generate.max_tokens == 0) {
    notes.param = "max_tokens";
    return unexpected(Code::kInvalidArgument, "'max_tokens' must be at least 1");
  }
  ChatPrompt& prompt = chat(draft);
  if (draft.tools_allowed) prompt.tools = std::move(draft.tools);
  if (draft.reasoning_effort && !prompt.template_arguments.find("reasoning_effort")) {
    prompt.template_arguments.set("reasoning_effort", *draft.reasoning_effort);
  }
  if (prompt.template_arguments.is_null()) prompt.template_arguments = Value::object();
  return std::move(draft.call);
}

}  // namespace hearth::openai
