#include "api/openai/messages.h"

#include <fmt/format.h>

#include "formats/json/json.h"

namespace hearth::openai {
namespace {

Unexpected refuse(size_t index, std::string_view what) {
  return unexpected(Code::kInvalidArgument, fmt::format("messages[{}]{}", index, what));
}

Result<std::string> read_part(size_t index, size_t place, const Value& part) {
  const Value* type = part.find("type");
  std::string where = fmt::format(".content[{}]", place);
  if (!type || !type->is_string()) {
    return refuse(index, where + " must be an object with a \"type\", such as {\"type\": \"text\", \"text\": ...}");
  }
  const std::string& kind = type->as_string();
  if (kind == "text" || kind == "refusal") {
    const Value* text = part.find(kind);
    if (!text || !text->is_string()) return refuse(index, fmt::format("{}.{} must be a string", where, kind));
    return text->as_string();
  }
  if (kind == "image_url" || kind == "input_image" || kind == "input_audio" || kind == "file" || kind == "video_url") {
    return unexpected(Code::kUnsupported,
                      fmt::format("messages[{}]{} has type '{}': pictures, sound and files as input are not supported, "
                                  "only text parts are", index, where, kind));
  }
  return refuse(index, where + ".type is unknown: only \"text\" parts are supported");
}

Result<Value> read_content(size_t index, const Value& content) {
  if (content.is_string()) return content;
  if (!content.is_list()) {
    return refuse(index, fmt::format(".content must be a string or an array of text parts, got {}",
                                     content.kind_name()));
  }
  std::string joined;
  for (size_t i = 0; i < content.size(); ++i) {
    auto text = read_part(index, i, content.as_list()[i]);
    if (!text) return unexpected(text.error());
    if (i > 0) joined += '\n';
    joined += *text;
  }
  return Value(std::move(joined));
}

Value arguments_for_template(const Value& arguments) {
  if (!arguments.is_string()) return arguments;
  auto parsed = json::parse(arguments.as_string());
  return parsed && parsed->is_object() ? std::move(*parsed) : arguments;
}

Result<Value> read_tool_calls(size_t index, const Value& calls) {
  if (!calls.is_list()) return refuse(index, fmt::format(".tool_calls must be an array, got {}", calls.kind_name()));
  Value out = Value::list();
  for (size_t i = 0; i < calls.size(); ++i) {
    Value call = calls.as_list()[i];
    Value* function = call.find("function");
    Value* name = function ? function->find("name") : nullptr;
    if (!name || !name->is_string()) {
      return refuse(index, fmt::format(".tool_calls[{}].function.name must be a string", i));
    }
    Value* arguments = function->find("arguments");
    if (arguments && !arguments->is_string() && !arguments->is_object() && !arguments->is_null()) {
      return refuse(index, fmt::format(".tool_calls[{}].function.arguments must be a string of JSON or an object", i));
    }
    function->set("arguments", arguments && !arguments->is_null() ? arguments_for_template(*arguments)
                                                                  : Value::object());
    out.push(std::move(call));
  }
  return out;
}

Result<std::string> read_role(size_t index, const Value& message) {
  const Value* role = message.find("role");
  if (!role || !role->is_string()) {
    return refuse(index, ".role is missing: expected system, developer, user, assistant or tool");
  }
  const std::string& name = role->as_string();
  if (name == "developer") return std::string("system");
  if (name == "system" || name == "user" || name == "assistant" || name == "tool") return name;
  if (name == "function") return refuse(index, ".role 'function' is not supported: use 'tool' with a tool_call_id");
  return refuse(index, ".role is unknown: expected system, developer, user, assistant or tool");
}

Result<Value> read_message(size_t index, const Value& message) {
  if (!message.is_object()) return refuse(index, fmt::format(" must be an object, got {}", message.kind_name()));
  auto role = read_role(index, message);
  if (!role) return unexpected(role.error());
  Value out = Value::object({{"role", *role}, {"content", Value()}});

  const Value* calls = message.find("tool_calls");
  bool has_calls = calls && !calls->is_null() && !(calls->is_list() && calls->size() == 0);
  if (has_calls && *role != "assistant") return refuse(index, ".tool_calls belong to an assistant message");
  const Value* content = message.find("content");
  if (content && !content->is_null()) {
    auto text = read_content(index, *content);
    if (!text) return text;
    out.set("content", std::move(*text));
  } else if (*role != "assistant") {
    return refuse(index, ".content is missing: expected a string or an array of text parts");
  } else if (!has_calls) {
    // Clients store a turn that ended before its first token as null; templates cannot concatenate null.
    out.set("content", "");
  }
  if (has_calls) {
    auto read = read_tool_calls(index, *calls);
    if (!read) return read;
    out.set("tool_calls", std::move(*read));
  }
  for (const auto& [name, value] : message.as_object()) {
    if (name != "role" && name != "content" && name != "tool_calls" && !value.is_null()) out.set(name, value);
  }
  return out;
}

}  // namespace

Result<Value> read_messages(const Value& messages) {
  Value out = Value::list();
  for (size_t i = 0; i < messages.size(); ++i) {
    auto message = read_message(i, messages.as_list()[i]);
    if (!message) return message;
    out.push(std::move(*message));
  }
  return out;
}

Result<Value> read_tools(const Value& tools) {
  for (size_t i = 0; i < tools.size(); ++i) {
    const Value& tool = tools.as_list()[i];
    const Value* type = tool.find("type");
    const Value* function = tool.find("function");
    const Value* name = function ? function->find("name") : nullptr;
    bool is_function = type && type->is_string() && type->as_string() == "function";
    if (!is_function || !name || !name->is_string() || name->as_string().empty()) {
      return unexpected(Code::kInvalidArgument,
                        fmt::format("tools[{}] must be {{\"type\": \"function\", \"function\": {{\"name\": ..., "
                                    "\"parameters\": ...}}}}", i));
    }
  }
  return tools;
}

}  // namespace hearth::openai
