#include "runtime/prepare.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "runtime/testing/tiny_runtime.h"

namespace hearth {
namespace {

using testing::TinyRuntime;

class Prepare : public ::testing::Test {
 protected:
  Result<PreparedRequest> prepare(const GenerateRequest& request, const std::string& chat_template = "",
                                  const SamplingOptions& configured = {}) {
    LoadOptions options = runtime_.options("llama");
    options.chat_template = chat_template;
    model_ = LoadedModel::load(options, runtime_.executor, runtime_.memory);
    return prepare_request(request, *model_, configured, [this] { return is_cancelled_; });
  }
  static GenerateRequest chat(Value request_fields) {
    GenerateRequest request;
    ChatPrompt prompt;
    prompt.messages = Value::list();
    prompt.request_fields = std::move(request_fields);
    request.prompt = std::move(prompt);
    return request;
  }

  TinyRuntime runtime_{1};
  std::unique_ptr<LoadedModel> model_;
  bool is_cancelled_ = false;
};

TEST_F(Prepare, FieldsOfARequestReachTemplatesThatReadThem) {
  const GenerateRequest request = chat(Value::object({{"tool_choice", "none"}, {"parallel_tool_calls", false}}));
  Result<PreparedRequest> told = prepare(request, "{{ raise_exception(tool_choice ~ '/' ~ parallel_tool_calls) }}");
  ASSERT_FALSE(told);
  EXPECT_NE(told.error().message().find("none/False"), std::string::npos) << told.error().message();

  GenerateRequest by_hand = request;
  std::get<ChatPrompt>(by_hand.prompt).template_arguments = Value::object({{"tool_choice", "mine"}});
  told = prepare(by_hand, "{{ raise_exception(tool_choice) }}");
  ASSERT_FALSE(told);
  EXPECT_NE(told.error().message().find("mine"), std::string::npos) << told.error().message();
}

TEST_F(Prepare, AParameterComesFromTheRequestThenTheProfileThenIsOff) {
  GenerateRequest request;
  request.prompt = "hello";
  request.sampling.top_k = 7;
  SamplingOptions configured;
  configured.top_k = 9;
  configured.min_p = 0.25f;
  configured.seed = 11;
  Result<PreparedRequest> out = prepare(request, "", configured);
  ASSERT_TRUE(out) << out.error().message();
  EXPECT_EQ(out->sampling.top_k, 7);
  EXPECT_EQ(out->sampling.min_p, 0.25f);
  EXPECT_EQ(out->sampling.seed, 11u);
  EXPECT_EQ(out->sampling.typical_p, 1.0f);
}

TEST_F(Prepare, APromptBeyondTheContextIsRefusedWithBothNumbers) {
  GenerateRequest request;
  request.prompt = std::string("a b c d e f g h ") + std::string(400, 'x');
  Result<PreparedRequest> out = prepare(request);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code(), Code::kContextLength);
  EXPECT_NE(out.error().message().find(fmt::format("context of {}", model_->context())), std::string::npos);
  EXPECT_EQ(out.error().message().find("at least"), std::string::npos);

  request.prompt = std::string(1 << 20, 'x');
  out = prepare(request);
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code(), Code::kContextLength);
  EXPECT_NE(out.error().message().find("at least"), std::string::npos) << out.error().message();
}

TEST_F(Prepare, TokenisingStopsWhenNobodyWaits) {
  GenerateRequest request;
  request.prompt = "hello";
  ASSERT_TRUE(prepare(request));
  std::string words;
  for (int i = 0; i < 3000; ++i) words += "word ";
  int asked = 0;
  text::EncodeOptions options;
  options.is_cancelled = [&] { return ++asked == 2; };
  try {
    model_->tokenizer().encode(words, options);
    ADD_FAILURE() << "it went on";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), Code::kCancelled);
  }
  EXPECT_EQ(asked, 2);
}

TEST_F(Prepare, TokenIdsOutsideTheVocabularyAreRefused) {
  GenerateRequest request;
  request.prompt = std::vector<int32_t>{1, 2, 1 << 30};
  Result<PreparedRequest> out = prepare(request);
  ASSERT_FALSE(out);
  EXPECT_NE(out.error().message().find("1073741824"), std::string::npos);
  request.prompt = std::vector<int32_t>{1, 2};
  request.sampling.logit_bias = {{-1, 5.0f}};
  out = prepare(request);
  ASSERT_FALSE(out);
  EXPECT_NE(out.error().message().find("logit_bias"), std::string::npos);
}

}  // namespace
}  // namespace hearth
