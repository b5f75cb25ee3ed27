// Bodies of /v1/images/generations: what is taken, what is refused and which field is blamed.
#include "api/openai/images.h"

#include <gtest/gtest.h>

#include "formats/json/json.h"

namespace hearth::openai {
namespace {

ImageCall accepted(std::string_view body) {
  api::ParseNotes notes;
  return std::move(parse_image_call(body, notes)).value();
}

std::string blamed(std::string_view body) {
  api::ParseNotes notes;
  const Result<ImageCall> call = parse_image_call(body, notes);
  EXPECT_FALSE(call) << body;
  return notes.param;
}

TEST(ImageCall, TakesWhatTheClientSends) {
  const ImageCall call = accepted(R"({"prompt": "a cat", "n": 2, "size": "640x384", "seed": 18446744073709551615,
                                      "response_format": "url", "quality": "high", "user": "me", "cfg": 4.5, "steps": 8})");
  EXPECT_EQ(call.prompt, "a cat");
  EXPECT_EQ(call.count(), 2);
  EXPECT_EQ(call.width, 640);
  EXPECT_EQ(call.height, 384);
  EXPECT_EQ(call.seed, UINT64_MAX);
  EXPECT_TRUE(call.wants_url);
  EXPECT_EQ(call.cfg, 4.5);
  EXPECT_EQ(call.steps, 8);
  EXPECT_FALSE(accepted(R"({"prompt": "x", "size": "auto"})").width);
}

TEST(ImageCall, LeavesTheNumberToMemory) {
  EXPECT_FALSE(accepted(R"({"prompt": "x", "n": 3})").is_auto_count);
  const ImageCall any = accepted(R"({"prompt": "x", "n": "auto"})");
  EXPECT_TRUE(any.is_auto_count);
  EXPECT_EQ(any.count(), 8);
  const ImageCall most = accepted(R"({"prompt": "x", "batch": "auto", "n": 40})");
  EXPECT_TRUE(most.is_auto_count);
  EXPECT_EQ(most.count(), 40);
  EXPECT_EQ(accepted(R"({"prompt": "x", "n": 40, "batch": "auto"})").count(), 40);
  const ImageCall alone = accepted(R"({"prompt": "x", "batch": "auto"})");
  EXPECT_TRUE(alone.is_auto_count);
  EXPECT_EQ(alone.count(), 8) << "nobody said 1";
  EXPECT_EQ(accepted(R"({"prompt": "x"})").count(), 1);
  for (const char* n : {"0", "65", "1.5", "\"many\"", "true", "18446744073709551615", "[1]"}) {
    EXPECT_EQ(blamed(std::string(R"({"prompt": "x", "n": )") + n + "}"), "n") << n;
  }
  EXPECT_EQ(blamed(R"({"prompt": "x", "batch": "4"})"), "batch");
}

TEST(ImageCall, RefusalsNameTheField) {
  EXPECT_EQ(blamed(R"({"n": 1})"), "prompt");
  for (const char* size : {"640", "640x", "x640", "640x384x2", "0x64", "64x99999", "-64x64", "64 x64"}) {
    EXPECT_EQ(blamed(std::string(R"({"prompt": "x", "size": ")") + size + "\"}"), "size") << size;
  }
  EXPECT_EQ(blamed(R"({"prompt": "x", "n": 0})"), "n");
  EXPECT_EQ(blamed(R"({"prompt": "x", "seed": -1})"), "seed");
  EXPECT_EQ(blamed(R"({"prompt": "x", "seed": 1.5})"), "seed");
  EXPECT_EQ(blamed(R"({"prompt": "x", "background": "transparent"})"), "background");
  EXPECT_EQ(blamed(R"({"prompt": "x", "stream": true})"), "stream");
  EXPECT_EQ(blamed(R"({"prompt": "x", "output_format": "gif"})"), "output_format");
  EXPECT_EQ(blamed(R"({"prompt": "x", "response_format": "png"})"), "response_format");
}

TEST(ImageCall, RepliesAsOpenAiDoes) {
  const Value reply = image_reply(17, {{.base64 = "AA==", .url = ""}, {.base64 = "", .url = "/view?x"}}, 5);
  EXPECT_EQ(json::write(reply), R"({"created":17,"data":[{"b64_json":"AA=="},{"url":"/view?x"}],"seed":5})");
}

}  // namespace
}  // namespace hearth::openai
