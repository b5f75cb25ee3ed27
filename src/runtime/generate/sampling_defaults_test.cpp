// A model's recommendations for sampling: which keys of which file count, what is left out, and who wins over whom.
#include "runtime/generate/sampling_defaults.h"

#include <fstream>

#include <gtest/gtest.h>

#include "formats/json/json.h"
#include "runtime/testing/tiny_gguf.h"

namespace hearth {
namespace {

SamplingOptions of_gguf(const std::string& metadata) {
  Checkpoint checkpoint;
  checkpoint.path = "model.gguf";
  checkpoint.config = json::parse(metadata).value();
  return sampling_defaults(checkpoint);
}

SamplingOptions of_folder(const std::string& generation_config) {
  const testing::TempFolder folder;
  std::ofstream(folder.path("generation_config.json")) << generation_config;
  Checkpoint checkpoint;
  checkpoint.path = folder.path("");
  checkpoint.format = Checkpoint::Format::kHuggingFace;
  checkpoint.config = json::parse(R"({"temperature": 9})").value();  // config.json, which is not asked
  return sampling_defaults(checkpoint);
}

bool is_empty(const SamplingOptions& o) {
  return !o.temperature && !o.top_k && !o.top_p && !o.min_p && !o.typical_p && !o.repetition_penalty &&
         !o.presence_penalty && !o.frequency_penalty && !o.seed;
}

TEST(SamplingDefaults, OfGgufMetadata) {
  const SamplingOptions own = of_gguf(R"({"general.sampling.temp": 0.6, "general.sampling.top_k": 20,
      "general.sampling.top_p": 0.95, "general.sampling.min_p": 0.05, "general.sampling.penalty_repeat": 1.1,
      "general.sampling.sequence": "edkypmxt", "temperature": 9})");
  EXPECT_EQ(own.temperature, 0.6f);
  EXPECT_EQ(own.top_k, 20);
  EXPECT_EQ(own.top_p, 0.95f);
  EXPECT_EQ(own.min_p, 0.05f);
  EXPECT_EQ(own.repetition_penalty, 1.1f);
  EXPECT_TRUE(is_empty(of_gguf(R"({"general.architecture": "llama"})")));
}

TEST(SamplingDefaults, OfGenerationConfig) {
  const SamplingOptions own = of_folder(R"({"do_sample": true, "temperature": 1, "top_k": -1, "top_p": 0.8,
      "min_p": 0, "repetition_penalty": 1.05, "eos_token_id": [1, 2], "general.sampling.temp": 9})");
  EXPECT_EQ(own.temperature, 1.0f);
  EXPECT_EQ(own.top_k, 0);
  EXPECT_EQ(own.top_p, 0.8f);
  EXPECT_EQ(own.min_p, 0.0f);
  EXPECT_EQ(own.repetition_penalty, 1.05f);
}

TEST(SamplingDefaults, WhatCannotBeFollowedIsLeftOut) {
  EXPECT_TRUE(is_empty(of_folder("{not json")));
  EXPECT_TRUE(is_empty(of_folder("[1]")));
  const SamplingOptions own = of_folder(R"({"temperature": -1, "top_k": 2.5, "top_p": "0.8", "min_p": null,
      "repetition_penalty": 1.2})");
  EXPECT_EQ(own.repetition_penalty, 1.2f);
  EXPECT_FALSE(own.temperature || own.top_k || own.top_p || own.min_p);
  Checkpoint nowhere;
  nowhere.path = "/no/such/folder";
  nowhere.format = Checkpoint::Format::kHuggingFace;
  EXPECT_TRUE(is_empty(sampling_defaults(nowhere)));
}

TEST(SamplingDefaults, TheFirstWinsFieldByField) {
  SamplingOptions profile, model;
  profile.temperature = 0.0f;
  profile.seed = 7;
  profile.presence_penalty = 0.5f;
  model.temperature = 0.6f;
  model.top_k = 20;
  model.top_p = 0.9f;
  const SamplingOptions both = or_else(profile, model);
  EXPECT_EQ(both.temperature, 0.0f);
  EXPECT_EQ(both.top_k, 20);
  EXPECT_EQ(both.top_p, 0.9f);
  EXPECT_EQ(both.seed, 7u);
  EXPECT_EQ(both.presence_penalty, 0.5f);
  EXPECT_FALSE(both.min_p || both.repetition_penalty);
}

}  // namespace
}  // namespace hearth
