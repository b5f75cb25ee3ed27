// ComfyUI's wire shapes: prompts, history, jobs, frames.
#include <gtest/gtest.h>

#include "api/comfy/frames.h"
#include "api/comfy/history.h"
#include "api/comfy/prompt.h"
#include "api/comfy/system.h"
#include "formats/json/json.h"

namespace hearth::comfy {
namespace {

Value parsed(std::string_view text) { return json::parse(text).value(); }

TEST(ComfyPrompt, TakesEveryField) {
  auto parse = parse_prompt(
      R"({"prompt":{"3":{"class_type":"KSampler","inputs":{"seed":18446744073709551615}}},"client_id":"me",)"
      R"("prompt_id":"0f8fad5b-d9cb-469f-a165-70867728950e","number":-1.5,"front":true,)"
      R"("partial_execution_targets":["9"],)"
      R"("extra_data":{"extra_pnginfo":{"workflow":{"id":"w1"}},"api_key_comfy_org":"hush","mine":1}})");
  ASSERT_TRUE(parse.call);
  const PromptCall& call = *parse.call;
  EXPECT_EQ(call.prompt.at("3").at("inputs").at("seed").as_uint(), UINT64_MAX);
  EXPECT_EQ(call.client_id, "me");
  EXPECT_EQ(*call.id, "0f8fad5b-d9cb-469f-a165-70867728950e");
  EXPECT_EQ(*call.number, -1.5);
  EXPECT_TRUE(call.front);
  EXPECT_EQ(call.targets->at(0), "9");
  EXPECT_EQ(json::write(call.extra_data),
            R"({"extra_pnginfo":{"workflow":{"id":"w1"}},"mine":1,"client_id":"me"})");
  EXPECT_EQ(call.secrets.at("api_key_comfy_org").as_string(), "hush");
  EXPECT_EQ(workflow_id_of(call.extra_data), "w1");
}

TEST(ComfyPrompt, RefusalsHaveTheirType) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "invalid_json"}, {"[1]", "invalid_prompt"}, {"{}", "no_prompt"}, {R"({"prompt":null})", "no_prompt"},
      {R"({"prompt":[]})", "invalid_prompt"}, {R"({"prompt":{},"prompt_id":"x"})", "invalid_prompt_id"},
      {R"({"prompt":{},"prompt_id":"0F8FAD5B-D9CB-469F-A165-70867728950E"})", "invalid_prompt_id"},
      {R"({"prompt":{},"prompt_id":7})", "invalid_prompt_id"}, {R"({"prompt":{},"number":"x"})", "invalid_prompt"},
      {R"({"prompt":{},"extra_data":[]})", "invalid_prompt"},
      {R"({"prompt":{},"partial_execution_targets":[1]})", "invalid_prompt"},
  };
  for (const auto& [body, type] : cases) {
    auto parse = parse_prompt(body);
    ASSERT_FALSE(parse.call) << body;
    EXPECT_EQ(parse.error.type, type) << body;
    const Value answer = prompt_refusal(parse.error);
    for (const char* name : {"type", "message", "details"}) EXPECT_TRUE(answer.at("error").at(name).is_string());
    EXPECT_TRUE(answer.at("error").at("extra_info").is_object());
    EXPECT_TRUE(answer.at("node_errors").is_object());
  }
  EXPECT_TRUE(parse_prompt(R"({"prompt":{},"prompt_id":null,"number":null,"extra_data":null})").call);
}

TEST(ComfyPrompt, NumbersLoseNoFraction) {
  EXPECT_EQ(json::write(prompt_answer("i", 3, Value::object())), R"({"prompt_id":"i","number":3,"node_errors":{}})");
  EXPECT_EQ(json::write(number_value(-2.5)), "-2.5");
}

JobResults results_of(JobEnd end, const char* outputs, const char* messages) {
  return {.end = end, .outputs = parsed(outputs), .meta = Value::object(), .messages = parsed(messages)};
}

TEST(ComfyHistory, EntriesArePutTogetherFromTexts) {
  const ItemTexts texts = item_texts(parsed(R"({"1":{}})"), Value::object(), {"1", "2"});
  const std::string item = queue_item(4, "id", texts);
  EXPECT_EQ(item, R"([4,"id",{"1":{}},{},["1","2"]])");
  const auto results = results_of(JobEnd::kCancelled, "{}", R"([["execution_interrupted",{}]])");
  EXPECT_EQ(history_entry(item, json::write(history_rest(results))),
            R"({"prompt":[4,"id",{"1":{}},{},["1","2"]],"outputs":{},"status":{"status_str":"error",)"
            R"("completed":false,"messages":[["execution_interrupted",{}]]},"meta":{}})");
}

TEST(ComfyJobs, EndedJobsPreviewWhatWasSaved) {
  const JobFacts facts{"id", 1, 10, 20, 30, "w"};
  const auto results = results_of(
      JobEnd::kCompleted,
      R"({"1":{"images":[{"filename":"t.png","subfolder":"","type":"temp"}],"animated":[true]},)"
      R"("2":{"text":["hello"]},"3":{"images":[{"filename":"o.png","subfolder":"s","type":"output"}]}})", "[]");
  EXPECT_EQ(json::write(ended_job(facts, results)),
            R"({"id":"id","status":"completed","priority":1,"create_time":10,"execution_start_time":20,)"
            R"("execution_end_time":30,"workflow_id":"w","outputs_count":3,"previewable_outputs_count":2,)"
            R"("preview_output":{"filename":"o.png","subfolder":"s","type":"output","nodeId":"3",)"
            R"("mediaType":"images"}})");
  const auto words = results_of(JobEnd::kCompleted, R"({"2":{"text":["hello"]}})", "[]");
  EXPECT_EQ(ended_job(facts, words).at("preview_output").at("content").as_string(), "hello");
}

TEST(ComfyJobs, ErrorsAlwaysHaveWhatTheFrontendChecks) {
  const auto results = results_of(JobEnd::kFailed, "{}", R"([["execution_error",{"node_id":"7","traceback":"x"}]])");
  const Value error = ended_job({"id", 0, 1, {}, {}, ""}, results).at("execution_error");
  EXPECT_EQ(error.at("node_id").as_string(), "7");
  for (const char* name : {"node_type", "exception_message", "exception_type"}) EXPECT_TRUE(error.at(name).is_string());
  EXPECT_TRUE(error.at("traceback").is_list());
}

TEST(ComfyFrames, AreWhatClientsRead) {
  EXPECT_EQ(status_frame(2), R"({"type":"status","data":{"status":{"exec_info":{"queue_remaining":2}}}})");
  EXPECT_EQ(preview_frame("image/png", "PNG"), std::string("\0\0\0\1\0\0\0\2PNG", 11));
  EXPECT_EQ(node_text_frame("12:5", "hi"), std::string("\0\0\0\3\0\0\0\4" "12:5hi", 14));
  EXPECT_TRUE(feature_flags_of(R"({"type":"feature_flags","data":{"a":1}})").is_object());
  for (const char* text : {"", "{}", R"({"type":"feature_flags"})", R"({"type":"other","data":{}})", "[1]"}) {
    EXPECT_TRUE(feature_flags_of(text).is_null()) << text;
  }
}

TEST(ComfySystem, StatsKeepTheirShape) {
  SystemFacts facts;
  facts.devices.push_back({.pool_bytes = 100, .grantable_bytes = 60, .budget_bytes = 80, .leased_bytes = 20});
  const Value stats = system_stats(facts);
  for (const char* name : {"os", "python_version", "comfyui_version", "pytorch_version"}) {
    EXPECT_TRUE(stats.at("system").at(name).is_string()) << name;
  }
  EXPECT_TRUE(stats.at("system").at("embedded_python").is_bool());
  const Value& device = stats.at("devices").as_list().at(0);
  EXPECT_EQ(device.at("vram_total").as_int(), 100);
  EXPECT_EQ(device.at("vram_free").as_int(), 60);
  EXPECT_EQ(device.at("budget").at("limit").as_int(), 80);
  EXPECT_FALSE(server_features(5).at("assets").as_bool());
}

}  // namespace
}  // namespace hearth::comfy
