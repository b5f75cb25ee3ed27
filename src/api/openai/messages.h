// Messages and tools of a chat request, checked and brought into the form that chat templates expect:
// * content is one string: text parts are joined by a newline; null stays null beside tool_calls;
// * "developer" becomes "system", the name templates know;
// * tool_calls[].function.arguments becomes an object when it is a string holding a JSON object, as templates walk it;
//   any other string stays as it is;
// * other members (name, tool_call_id, reasoning_content, ...) pass through untouched.
#pragma once
#include "core/base/result.h"
#include "core/base/value.h"

namespace hearth::openai {

/// The normalised list. Refusals name the message by its place: "messages[2].content ...".
Result<Value> read_messages(const Value& messages);

/// Checks that each tool is {"type": "function", "function": {"name": ...}}; returns the list as it came.
Result<Value> read_tools(const Value& tools);

}  // namespace hearth::openai
