// Request fields: every limit from the table, the checks across fields, and what arrives in the native request.
#include "api/openai/request.h"

#include <gtest/gtest.h>

#include "formats/json/json.h"

namespace hearth::openai {
namespace {

constexpr const char* kChatStart = R"({"messages":[{"role":"user","content":"hi"}],)";
constexpr const char* kTextStart = R"({"prompt":"hi",)";

CompletionCall accept(Endpoint endpoint, const std::string& body) {
  api::ParseNotes notes;
  auto call = parse_body(endpoint, body, notes);
  EXPECT_TRUE(call) << body << ": " << (call ? "" : call.error().message());
  return call ? *call : CompletionCall{};
}

CompletionCall chat(const std::string& members) { return accept(Endpoint::kChat, kChatStart + members + "}"); }
CompletionCall text(const std::string& members) { return accept(Endpoint::kCompletion, kTextStart + members + "}"); }

struct Refusal {
  const char* members;
  const char* param;
  const char* part;  // of the message
  Code code = Code::kInvalidArgument;
};

void expect_refusal(Endpoint endpoint, const std::string& body, const Refusal& wanted) {
  api::ParseNotes notes;
  auto call = parse_body(endpoint, body, notes);
  ASSERT_FALSE(call) << body;
  EXPECT_EQ(notes.param, wanted.param) << body;
  EXPECT_EQ(call.error().code(), wanted.code) << body;
  EXPECT_NE(call.error().message().find(wanted.part), std::string::npos) << body << " -> " << call.error().message();
}

TEST(OpenAiRequest, RefusesByTheTableOnBothEndpoints) {
  const Refusal cases[] = {
      {R"("temperature":2.1)", "temperature", "'temperature' must be a number from 0 to 2, got 2.1"},
      {R"("temperature":-0.1)", "temperature", "from 0 to 2"},
      {R"("temperature":"1")", "temperature", "must be a number from 0 to 2, got string"},
      {R"("top_p":1.01)", "top_p", "from 0 to 1"},
      {R"("presence_penalty":-2.5)", "presence_penalty", "from -2 to 2"},
      {R"("frequency_penalty":3)", "frequency_penalty", "from -2 to 2"},
      {R"("n":0)", "n", "an integer from 1 to 8, got 0"},
      {R"("n":9)", "n", "an integer from 1 to 8, got 9"},
      {R"("n":1.5)", "n", "got 1.5"},
      {R"("n":1e300)", "n", "an integer"},
      {R"("max_tokens":-1)", "max_tokens", "from 0"},
      {R"("seed":1.5)", "seed", "an integer"},
      {R"("seed":1e30)", "seed", "an integer"},
      {R"("top_k":-2)", "top_k", "from -1"},
      {R"("min_p":2)", "min_p", "from 0 to 1"},
      {R"("typical_p":-1)", "typical_p", "from 0 to 1"},
      {R"("repetition_penalty":0)", "repetition_penalty", "from 0.01 to 10"},
      {R"("repeat_penalty":11)", "repeat_penalty", "from 0.01 to 10"},
      {R"("ignore_eos":1)", "ignore_eos", "a boolean, got integer"},
      {R"("stream":"yes")", "stream", "a boolean"},
      {R"("stream_options":{"include_usage":true})", "stream_options", "\"stream\": true"},
      {R"("stream":true,"stream_options":{"include_usage":1})", "stream_options", "include_usage"},
      {R"("stream":true,"stream_options":[])", "stream_options", "an object"},
      {R"("stop":5)", "stop", "a string or an array"},
      {R"("stop":["a",5])", "stop", "got integer"},
      {R"("stop":[""])", "stop", "1 to 1024 bytes"},
      {R"("stop":["1","2","3","4","5","6","7","8","9","10","11","12","13","14","15","16","17"])", "stop", "at most 16"},
      {R"("logit_bias":{"x":1})", "logit_bias", "token ids"},
      {R"("logit_bias":{"-1":1})", "logit_bias", "token ids"},
      {R"("logit_bias":{"99999999999":1})", "logit_bias", "token ids"},
      {R"("logit_bias":{"1":101})", "logit_bias", "of token 1 must be a number from -100 to 100"},
      {R"("logit_bias":[])", "logit_bias", "an object"},
      {R"("model":7)", "model", "a string"},
  };
  for (const Refusal& wanted : cases) {
    expect_refusal(Endpoint::kChat, kChatStart + std::string(wanted.members) + "}", wanted);
    expect_refusal(Endpoint::kCompletion, kTextStart + std::string(wanted.members) + "}", wanted);
  }
}

TEST(OpenAiRequest, RefusesWhatChatAloneCannot) {
  const Refusal cases[] = {
      {R"("max_tokens":0)", "max_tokens", "at least 1"},
      {R"("max_completion_tokens":0)", "max_completion_tokens", "from 1"},
      {R"("logprobs":3)", "logprobs", "a boolean"},
      {R"("top_logprobs":3)", "top_logprobs", "\"logprobs\": true"},
      {R"("logprobs":true,"top_logprobs":21)", "top_logprobs", "from 0 to 20"},
      {R"("tool_choice":"required")", "tool_choice", "forced tool call", Code::kUnsupported},
      {R"("tool_choice":{"type":"function","function":{"name":"f"}})", "tool_choice", "forced", Code::kUnsupported},
      {R"("tool_choice":"maybe")", "tool_choice", "\"auto\" or \"none\""},
      {R"("tools":[{"type":"function"}])", "tools", "tools[0] must be"},
      {R"("tools":[{"type":"web","function":{"name":"f"}}])", "tools", "tools[0] must be"},
      {R"("response_format":{"type":"json_object"})", "response_format", "'json_object'", Code::kUnsupported},
      {R"("response_format":{"type":"json_schema"})", "response_format", "'json_schema'", Code::kUnsupported},
      {R"("response_format":{})", "response_format", "type"},
      {R"("modalities":["text","audio"])", "modalities", "\"text\"", Code::kUnsupported},
      {R"("audio":{"voice":"x"})", "audio", "'audio'", Code::kUnsupported},
      {R"("functions":[{"name":"f"}])", "functions", "use 'tools'", Code::kUnsupported},
      {R"("chat_template_kwargs":[1])", "chat_template_kwargs", "an object"},
  };
  for (const Refusal& wanted : cases) {
    expect_refusal(Endpoint::kChat, kChatStart + std::string(wanted.members) + "}", wanted);
  }
}

TEST(OpenAiRequest, RefusesWhatCompletionsAloneCannot) {
  const Refusal cases[] = {
      {R"({})", "prompt", "'prompt' is missing"},
      {R"({"prompt":null})", "prompt", "'prompt' is missing"},
      {R"({"prompt":5})", "prompt", "a string or an array, got integer"},
      {R"({"prompt":[]})", "prompt", "empty array"},
      {R"({"prompt":["a","b"]})", "prompt", "several prompts", Code::kUnsupported},
      {R"({"prompt":[[1],[2]]})", "prompt", "several prompts", Code::kUnsupported},
      {R"({"prompt":[[]]})", "prompt", "empty array"},
      {R"({"prompt":[1,-2]})", "prompt", "token ids"},
      {R"({"prompt":[1,"a"]})", "prompt", "token ids"},
      {R"({"prompt":[4294967296]})", "prompt", "token ids"},
      {R"({"prompt":"a","logprobs":true})", "logprobs", "an integer"},
      {R"({"prompt":"a","logprobs":21})", "logprobs", "from 0 to 20"},
      {R"({"prompt":"a","n":2,"best_of":3})", "best_of", "must equal 'n' (2), got 3", Code::kUnsupported},
      {R"({"prompt":"a","suffix":"b"})", "suffix", "not supported", Code::kUnsupported},
      {R"({"prompt":"a","echo":"yes"})", "echo", "a boolean"},
  };
  for (const Refusal& wanted : cases) expect_refusal(Endpoint::kCompletion, wanted.members, wanted);
}

TEST(OpenAiRequest, RefusesBodiesThatAreNoObjects) {
  for (const char* body : {"", "nonsense", "{\"a\":", "[]", "3", "\"x\"", "null", "\xff\xfe",
                           "{\"prompt\":\"\xc3\x28\"}"}) {
    api::ParseNotes notes;
    auto call = parse_body(Endpoint::kChat, body, notes);
    ASSERT_FALSE(call) << body;
    EXPECT_EQ(call.error().code(), Code::kInvalidArgument);
    EXPECT_NE(call.error().message().find("the body"), std::string::npos) << call.error().message();
  }
  std::string deep = kTextStart + std::string("\"metadata\":") + std::string(500, '[') + std::string(500, ']') + "}";
  api::ParseNotes notes;
  auto call = parse_body(Endpoint::kCompletion, deep, notes);
  ASSERT_FALSE(call);
  EXPECT_NE(call.error().message().find("nested deeper than 64"), std::string::npos) << call.error().message();
}

TEST(OpenAiRequest, SamplingReachesTheNativeRequest) {
  CompletionCall call = chat(R"("model":"m","temperature":0.5,"top_p":0.25,"top_k":40,"min_p":0.125,"typical_p":0.75,
    "repetition_penalty":1.5,"presence_penalty":-1,"frequency_penalty":1,"seed":18446744073709551615,
    "logit_bias":{"7":-100,"9":2.5},"n":3,"max_tokens":11,"max_completion_tokens":12,"ignore_eos":true,
    "stop":["a","b"],"logprobs":true,"top_logprobs":4,"stream":true,"stream_options":{"include_usage":true})");
  const GenerateRequest& g = call.generate;
  EXPECT_EQ(g.model, "m");
  EXPECT_EQ(g.sampling.temperature, 0.5f);
  EXPECT_EQ(g.sampling.top_p, 0.25f);
  EXPECT_EQ(g.sampling.top_k, 40);
  EXPECT_EQ(g.sampling.min_p, 0.125f);
  EXPECT_EQ(g.sampling.typical_p, 0.75f);
  EXPECT_EQ(g.sampling.repetition_penalty, 1.5f);
  EXPECT_EQ(g.sampling.presence_penalty, -1.0f);
  EXPECT_EQ(g.sampling.frequency_penalty, 1.0f);
  EXPECT_EQ(g.sampling.seed, UINT64_MAX);
  EXPECT_EQ(g.sampling.logit_bias, (std::vector<std::pair<int32_t, float>>{{7, -100.0f}, {9, 2.5f}}));
  EXPECT_EQ(g.choices, 3);
  EXPECT_EQ(g.max_tokens, 12);
  EXPECT_TRUE(g.ignore_end);
  EXPECT_EQ(g.stop, (std::vector<std::string>{"a", "b"}));
  EXPECT_TRUE(g.logprobs);
  EXPECT_EQ(g.top_logprobs, 4);
  EXPECT_TRUE(call.stream);
  EXPECT_TRUE(call.include_usage);
}

TEST(OpenAiRequest, AbsentNullAndOffMeanUnset) {
  CompletionCall call = chat(R"("temperature":null,"seed":-1,"top_k":-1,"stop":null,"max_tokens":null,"tools":[],
    "tool_choice":null,"response_format":{"type":"text"},"modalities":["text"],"user":"u",
    "metadata":{"a":1},"store":true)");
  EXPECT_FALSE(call.generate.sampling.temperature);
  EXPECT_FALSE(call.generate.sampling.seed);
  EXPECT_EQ(call.generate.sampling.top_k, 0);
  EXPECT_TRUE(call.generate.stop.empty());
  EXPECT_FALSE(call.generate.max_tokens);
  EXPECT_FALSE(call.stream);
  EXPECT_TRUE(std::get<ChatPrompt>(call.generate.prompt).tools.is_null());
  EXPECT_EQ(chat(R"("seed":-2)").generate.sampling.seed, static_cast<uint64_t>(-2));
  EXPECT_EQ(chat(R"("repeat_penalty":1.25)").generate.sampling.repetition_penalty, 1.25f);
  EXPECT_EQ(chat(R"("stop":"END")").generate.stop, std::vector<std::string>{"END"});
}

TEST(OpenAiRequest, PromptsAsTextAndAsTokens) {
  EXPECT_EQ(std::get<std::string>(text(R"("echo":true)").generate.prompt), "hi");
  using Tokens = std::vector<int32_t>;
  EXPECT_EQ(std::get<Tokens>(accept(Endpoint::kCompletion, R"({"prompt":[1,2,2147483647]})").generate.prompt),
            (Tokens{1, 2, 2147483647}));
  EXPECT_EQ(std::get<Tokens>(accept(Endpoint::kCompletion, R"({"prompt":[[5]]})").generate.prompt), Tokens{5});
  EXPECT_EQ(std::get<std::string>(accept(Endpoint::kCompletion, R"({"prompt":["one"]})").generate.prompt), "one");
  CompletionCall scored = text(R"("max_tokens":0,"echo":true,"logprobs":0,"best_of":1,"suffix":"")");
  EXPECT_TRUE(scored.generate.echo);
  EXPECT_TRUE(scored.generate.logprobs);
  EXPECT_EQ(scored.generate.max_tokens, 0);
}

TEST(OpenAiRequest, ToolsAndTemplateArguments) {
  const std::string tools = R"("tools":[{"type":"function","function":{"name":"f","parameters":{}}}],)";
  EXPECT_EQ(std::get<ChatPrompt>(chat(tools + R"("tool_choice":"auto")").generate.prompt).tools.size(), 1u);
  EXPECT_TRUE(std::get<ChatPrompt>(chat(tools + R"("tool_choice":"none")").generate.prompt).tools.is_null());
  CompletionCall none_first = accept(Endpoint::kChat, R"({"tool_choice":"none",)" + tools +
                                                          R"("messages":[{"role":"user","content":"x"}]})");
  EXPECT_TRUE(std::get<ChatPrompt>(none_first.generate.prompt).tools.is_null());
  auto prompt = std::get<ChatPrompt>(chat(R"("chat_template_kwargs":{"enable_thinking":false},"reasoning_effort":"low",
    "add_generation_prompt":false)").generate.prompt);
  EXPECT_FALSE(prompt.template_arguments.at("enable_thinking").as_bool());
  EXPECT_EQ(prompt.template_arguments.at("reasoning_effort").as_string(), "low");
  EXPECT_FALSE(prompt.add_generation_prompt);
}

TEST(OpenAiRequest, UnknownFieldsAreNotedNotRefused) {
  api::ParseNotes notes;
  ASSERT_TRUE(parse_body(Endpoint::kCompletion, R"({"prompt":"a","frobnicate":1,"x\n\u00e9":2})", notes));
  ASSERT_EQ(notes.unknown_fields.size(), 2u);
  EXPECT_EQ(notes.unknown_fields[0], "frobnicate");
  EXPECT_EQ(notes.unknown_fields[1], "x???");  // nothing that could forge a log line
}

}  // namespace
}  // namespace hearth::openai
