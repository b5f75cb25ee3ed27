// Messages: normalised for templates, refused with their place.
#include "api/openai/messages.h"

#include <gtest/gtest.h>

#include "formats/json/json.h"

namespace hearth::openai {
namespace {

Value parsed(const std::string& text) { return json::parse(text).value(); }

std::string normal(const std::string& messages) {
  auto read = read_messages(parsed(messages));
  return read ? json::write(*read) : "error: " + read.error().message();
}

TEST(OpenAiMessages, TextPartsAreJoinedAndDeveloperIsSystem) {
  EXPECT_EQ(normal(R"([{"role":"developer","content":"be brief"},
                       {"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}])"),
            R"([{"role":"system","content":"be brief"},{"role":"user","content":"a\nb"}])");
}

TEST(OpenAiMessages, ToolCallsGetMappingsForTemplates) {
  EXPECT_EQ(normal(R"([{"role":"assistant","content":null,"tool_calls":[
                       {"id":"c1","type":"function","function":{"name":"f","arguments":"{\"x\":1}"}},
                       {"id":"c2","type":"function","function":{"name":"g","arguments":{"y":2}}},
                       {"id":"c3","type":"function","function":{"name":"h","arguments":"not json"}},
                       {"id":"c4","type":"function","function":{"name":"i"}}]},
                      {"role":"tool","tool_call_id":"c1","content":"42"}])"),
            R"([{"role":"assistant","content":null,"tool_calls":[)"
            R"({"id":"c1","type":"function","function":{"name":"f","arguments":{"x":1}}},)"
            R"({"id":"c2","type":"function","function":{"name":"g","arguments":{"y":2}}},)"
            R"({"id":"c3","type":"function","function":{"name":"h","arguments":"not json"}},)"
            R"({"id":"c4","type":"function","function":{"name":"i","arguments":{}}}]},)"
            R"({"role":"tool","content":"42","tool_call_id":"c1"}])");
}

TEST(OpenAiMessages, OtherMembersPassThrough) {
  EXPECT_EQ(normal(R"([{"role":"assistant","content":"a","reasoning_content":"r","refusal":null,"name":"n"}])"),
            R"([{"role":"assistant","content":"a","reasoning_content":"r","name":"n"}])");
  EXPECT_EQ(normal(R"([{"role":"assistant","content":null}])"), R"([{"role":"assistant","content":""}])");
}

TEST(OpenAiMessages, RefusalsNameThePlace) {
  const std::pair<const char*, const char*> cases[] = {
      {R"(["hi"])", "messages[0] must be an object, got string"},
      {R"([{"content":"x"}])", "messages[0].role is missing"},
      {R"([{"role":"user","content":"x"},{"role":"robot","content":"x"}])", "messages[1].role is unknown"},
      {R"([{"role":"function","content":"x"}])", "'function' is not supported"},
      {R"([{"role":"user"}])", "messages[0].content is missing"},
      {R"([{"role":"tool","content":null}])", "messages[0].content is missing"},
      {R"([{"role":"user","content":5}])", "content must be a string or an array of text parts, got integer"},
      {R"([{"role":"user","content":["x"]}])", "messages[0].content[0] must be an object with a \"type\""},
      {R"([{"role":"user","content":[{"type":"text"}]}])", "messages[0].content[0].text must be a string"},
      {R"([{"role":"user","content":[{"type":"image_url","image_url":{}}]}])", "has type 'image_url': pictures"},
      {R"([{"role":"user","content":[{"type":"input_audio"}]}])", "has type 'input_audio'"},
      {R"([{"role":"user","content":[{"type":"hologram"}]}])", "type is unknown"},
      {R"([{"role":"user","content":"x","tool_calls":[{}]}])", "tool_calls belong to an assistant"},
      {R"([{"role":"assistant","tool_calls":"x"}])", "messages[0].tool_calls must be an array"},
      {R"([{"role":"assistant","tool_calls":[{"function":{}}]}])", "tool_calls[0].function.name must be a string"},
      {R"([{"role":"assistant","tool_calls":[{"function":{"name":"f","arguments":5}}]}])", "arguments must be"},
  };
  for (auto [messages, part] : cases) {
    EXPECT_NE(normal(messages).find(part), std::string::npos) << messages << " -> " << normal(messages);
  }
}

}  // namespace
}  // namespace hearth::openai
