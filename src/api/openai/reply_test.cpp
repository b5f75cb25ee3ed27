// Answers: whole bodies and event streams, compared as text and by their members.
#include "api/openai/reply.h"

#include <cmath>

#include <gtest/gtest.h>

#include "api/openai/logprobs.h"
#include "api/openai/models.h"
#include "formats/json/json.h"

namespace hearth::openai {
namespace {

ReplyHead head_of(Endpoint endpoint, int choices = 1) {
  ReplyHead head;
  head.endpoint = endpoint;
  head.id = "id-1";
  head.created = 99;
  head.choices = choices;
  return head;
}

Usage some_usage() {
  Usage usage;
  usage.prompt_tokens = 10;
  usage.cached_tokens = 4;
  usage.completion_tokens = 6;
  usage.prefill_s = 0.5;
  usage.decode_s = 2;
  return usage;
}

std::vector<Value> events_of(const std::string& stream) {
  std::vector<Value> out;
  size_t at = 0;
  while (at < stream.size()) {
    EXPECT_EQ(stream.substr(at, 6), "data: ");
    size_t end = stream.find("\n\n", at);
    EXPECT_NE(end, std::string::npos);
    std::string line = stream.substr(at + 6, end - at - 6);
    if (line != "[DONE]") out.push_back(json::parse(line).value());
    at = end + 2;
  }
  return out;
}

TEST(OpenAiReply, PlainChatBody) {
  PlainReply reply(head_of(Endpoint::kChat));
  reply.add(Started{"m", 10});
  reply.add(Delta{0, "Hel", {}});
  reply.add(Delta{0, "lo", {}});
  reply.add(Finished{0, FinishReason::kLength});
  reply.add(Done{some_usage()});
  EXPECT_EQ(json::write(reply.body()),
            R"({"id":"id-1","object":"chat.completion","created":99,"model":"m","choices":[{"index":0,"message":)"
            R"({"role":"assistant","content":"Hello","refusal":null},"logprobs":null,"finish_reason":"length"}],)"
            R"("usage":{"prompt_tokens":10,"completion_tokens":6,"total_tokens":16,"prompt_tokens_details":)"
            R"({"cached_tokens":4}},"timings":{"queue_ms":0.0,"cache_n":4,"prompt_n":6,"prompt_ms":500.0,)"
            R"("prompt_per_second":12.0,"predicted_n":6,"predicted_ms":2000.0,"predicted_per_second":3.0}})");
}

TEST(OpenAiReply, PlainCompletionOfSeveralChoices) {
  PlainReply reply(head_of(Endpoint::kCompletion, 2));
  reply.add(Started{"m", 1});
  reply.add(Delta{1, "b", {}});
  reply.add(Delta{0, "a", {}});
  reply.add(Finished{0, FinishReason::kStop});
  reply.add(Finished{1, FinishReason::kLength});
  reply.add(Done{});
  Value body = reply.body();
  EXPECT_EQ(body.at("object").as_string(), "text_completion");
  EXPECT_EQ(json::write(body.at("choices")),
            R"([{"index":0,"text":"a","logprobs":null,"finish_reason":"stop"},)"
            R"({"index":1,"text":"b","logprobs":null,"finish_reason":"length"}])");
}

TEST(OpenAiReply, StreamHasRoleDeltasFinishAndTimings) {
  StreamReply reply(head_of(Endpoint::kChat));
  std::string text = reply.add(Started{"m", 10});
  EXPECT_EQ(text, R"(data: {"id":"id-1","object":"chat.completion.chunk","created":99,"model":"m",)"
                  R"("choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,)"
                  R"("finish_reason":null}]})" "\n\n");
  text = reply.add(Delta{0, "a\nb", {}});
  EXPECT_EQ(text, R"(data: {"id":"id-1","object":"chat.completion.chunk","created":99,"model":"m",)"
                  R"("choices":[{"index":0,"delta":{"content":"a\nb"},"logprobs":null,"finish_reason":null}]})" "\n\n");
  EXPECT_EQ(reply.add(Delta{0, "", {}}), "");
  EXPECT_EQ(reply.add(Finished{0, FinishReason::kStop}), "");  // waits for the timings
  text = reply.add(Done{some_usage()});
  EXPECT_TRUE(text.ends_with("\n\ndata: [DONE]\n\n"));
  auto events = events_of(text);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].at("choices").as_list()[0].at("finish_reason").as_string(), "stop");
  EXPECT_EQ(events[0].at("timings").at("predicted_per_second").as_double(), 3.0);
  EXPECT_EQ(events[0].find("usage"), nullptr);
}

TEST(OpenAiReply, StreamWithUsageHasALastChunkWithoutChoices) {
  ReplyHead head = head_of(Endpoint::kCompletion, 2);
  head.include_usage = true;
  StreamReply reply(head);
  std::string text = reply.add(Started{"m", 1});
  EXPECT_EQ(text, "");
  text += reply.add(Delta{1, "x", {}});
  text += reply.add(Finished{0, FinishReason::kStop});
  text += reply.add(Finished{1, FinishReason::kLength});
  text += reply.add(Done{some_usage()});
  auto events = events_of(text);
  ASSERT_EQ(events.size(), 4u);
  EXPECT_TRUE(events[0].at("usage").is_null());
  EXPECT_EQ(events[0].at("choices").as_list()[0].at("text").as_string(), "x");
  EXPECT_EQ(events[1].at("choices").as_list()[0].at("index").as_int(), 0);
  EXPECT_EQ(events[2].at("choices").as_list()[0].at("finish_reason").as_string(), "length");
  EXPECT_EQ(events[3].at("choices").size(), 0u);
  EXPECT_EQ(events[3].at("usage").at("total_tokens").as_int(), 16);
  EXPECT_EQ(events[3].at("usage").at("prompt_tokens_details").at("cached_tokens").as_int(), 4);
}

TEST(OpenAiReply, AnErrorInTheStreamIsAnEnvelope) {
  std::string text = StreamReply::fail(api::to_api_error(Error(Code::kDevice, "gone")));
  EXPECT_EQ(text, R"(data: {"error":{"message":"gone","type":"server_error","param":null,"code":"device"}})" "\n\n");
}

TokenLogprob token(std::string text, float logprob) {
  TokenLogprob out;
  out.text = std::move(text);
  out.logprob = logprob;
  return out;
}

TEST(OpenAiReply, ChatLogprobsCarryBytes) {
  TokenLogprob half = token("\xc3", -0.5f);  // half of a character
  half.top = {{1, -0.5f}, {2, -INFINITY}};
  half.top_text = {"\xc3", "b"};
  EXPECT_EQ(json::write(chat_logprobs(std::vector{half})),
            "{\"content\":[{\"token\":\"\xef\xbf\xbd\",\"logprob\":-0.5,\"bytes\":[195],\"top_logprobs\":["
            "{\"token\":\"\xef\xbf\xbd\",\"logprob\":-0.5,\"bytes\":[195]},"
            "{\"token\":\"b\",\"logprob\":-9999.0,\"bytes\":[98]}]}],\"refusal\":null}");
}

TEST(OpenAiReply, LegacyLogprobsCountCharactersAndSpellOutBytes) {
  TokenLogprob first = token("\xc3\xa9", NAN);  // an echoed first token has no probability
  TokenLogprob second = token("\xe2\x82", -0.5f);
  second.top = {{5, -0.25f}};
  second.top_text = {"x"};
  EXPECT_EQ(json::write(legacy_logprobs(std::vector{first, second, token("y", -1)}, 10)),
            R"({"tokens":["é","bytes:\\xe2\\x82","y"],"token_logprobs":[null,-0.5,-1.0],)"
            R"("top_logprobs":[null,{"x":-0.25,"bytes:\\xe2\\x82":-0.5},{"y":-1.0}],"text_offset":[10,11,12]})");
}

TEST(OpenAiReply, StreamedOffsetsContinue) {
  ReplyHead head = head_of(Endpoint::kCompletion);
  head.logprobs = true;
  StreamReply reply(head);
  reply.add(Started{"m", 1});
  reply.add(Delta{0, "é!", {token("é!", -1)}});
  auto events = events_of(reply.add(Delta{0, "z", {token("z", -1)}}));
  EXPECT_EQ(events.at(0).at("choices").as_list()[0].at("logprobs").at("text_offset").as_list()[0].as_int(), 2);
}

TEST(OpenAiModels, ByNameAndAlias) {
  ModelSummary model;
  model.name = "a";
  model.aliases = {"default"};
  model.path = "/secret/place/a.gguf";
  model.context_tokens = 4096;
  std::vector<ModelSummary> models{model};
  Value list = models_body(models);
  EXPECT_EQ(list.at("data").as_list()[0].at("context_length").as_int(), 4096);
  EXPECT_EQ(list.at("data").as_list()[0].at("meta").at("file").as_string(), "a.gguf");
  EXPECT_EQ(json::write(list).find("secret"), std::string::npos);
  EXPECT_TRUE(model_body(models, "default"));
  EXPECT_FALSE(model_body(models, "b"));
}

TEST(ApiError, EveryCodeHasItsStatus) {
  const std::tuple<Code, int, const char*, bool> cases[] = {
      {Code::kInternal, 500, "internal", false},
      {Code::kInvalidArgument, 400, "invalid_argument", false},
      {Code::kNotFound, 404, "model_not_found", false},
      {Code::kCorruptFile, 500, "corrupt_file", false},
      {Code::kUnsupported, 400, "unsupported", false},
      {Code::kNoMemory, 503, "no_memory", true},
      {Code::kBusy, 429, "busy", true},
      {Code::kCancelled, 499, "cancelled", false},
      {Code::kContextLength, 400, "context_length_exceeded", false},
      {Code::kUnauthorized, 401, "invalid_api_key", false},
      {Code::kIo, 500, "io", false},
      {Code::kDevice, 500, "device", false},
      {Code::kTimeout, 504, "timeout", false},
  };
  for (auto [code, status, name, retries] : cases) {
    api::ApiError error = api::to_api_error(Error(code, "what"), "field");
    EXPECT_EQ(error.status, status) << name;
    EXPECT_EQ(error.code, name);
    EXPECT_EQ(error.retry_after_s > 0, retries) << name;
    EXPECT_EQ(error_envelope(error).at("error").at("param").as_string(), "field");
  }
}

}  // namespace
}  // namespace hearth::openai
