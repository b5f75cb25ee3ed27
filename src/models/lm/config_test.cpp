#include "models/lm/config.h"

#include <gtest/gtest.h>

#include <cmath>

#include "formats/json/json.h"
#include "models/lm/language_model.h"
#include "ops/test_ctx.h"

namespace hearth {
namespace {

Value parse(std::string_view text) { return json::parse(text).value(); }

Checkpoint checkpoint_of(Checkpoint::Format format, Value config) {
  Checkpoint checkpoint;
  checkpoint.path = "some/model";
  checkpoint.format = format;
  checkpoint.config = std::move(config);
  return checkpoint;
}

// A valid configuration with members added or replaced; null removes.
Checkpoint hugging_face(std::string_view model_type, std::string_view changes = "{}") {
  Value config = parse(R"({"hidden_size": 64, "num_hidden_layers": 12, "num_attention_heads": 4,
      "num_key_value_heads": 2, "intermediate_size": 32, "vocab_size": 272, "rms_norm_eps": 1e-6})");
  config.set("model_type", model_type);
  const Value changed = parse(changes);
  for (const auto& [key, value] : changed.as_object()) config.set(key, value);
  return checkpoint_of(Checkpoint::Format::kHuggingFace, config);
}

Checkpoint gguf(std::string_view architecture, std::string_view changes = "{}") {
  Value config = Value::object({{"general.architecture", architecture}});
  Value keys = parse(R"({"embedding_length": 64, "block_count": 12, "attention.head_count": 4,
      "attention.head_count_kv": 2, "feed_forward_length": 32, "vocab_size": 272})");
  const Value changed = parse(changes);
  for (const auto& [key, value] : changed.as_object()) keys.set(key, value);
  for (const auto& [key, value] : keys.as_object()) config.set(std::string(architecture) + "." + key, value);
  return checkpoint_of(Checkpoint::Format::kGguf, config);
}

std::string windows_of(const LmConfig& f) {
  std::string text;
  for (bool is_window : f.is_window_layer) text += is_window ? 'w' : '.';
  return text;
}

TEST(LmConfig, ReadsBothWaysTransformersWritesRope) {
  LmConfig four = LmConfig::from(hugging_face("llama", R"({"rope_theta": 5e5, "rope_scaling": {"rope_type": "llama3",
      "factor": 8.0, "low_freq_factor": 2.0, "high_freq_factor": 5.0, "original_max_position_embeddings": 64}})"));
  LmConfig five = LmConfig::from(hugging_face("llama", R"({"rope_parameters": {"rope_theta": 5e5, "rope_type": "llama3",
      "factor": 8.0, "low_freq_factor": 2.0, "high_freq_factor": 5.0, "original_max_position_embeddings": 64}})"));
  for (const LmConfig& f : {four, five}) {
    EXPECT_EQ(f.rope_base, 5e5f);
    EXPECT_EQ(f.rope_llama3.factor, 8);
    EXPECT_EQ(f.rope_llama3.low_freq_factor, 2);
    EXPECT_EQ(f.rope_llama3.high_freq_factor, 5);
    EXPECT_EQ(f.rope_llama3.original_context, 64);
  }
  EXPECT_EQ(LmConfig::from(hugging_face("llama", R"({"rope_scaling": {"type": "linear", "factor": 4}})"))
                .rope_linear_factor, 4);
}

TEST(LmConfig, ReadsGemma3sTwoRotations) {
  LmConfig four = LmConfig::from(hugging_face("gemma3_text", R"({"rope_theta": 2e6, "rope_local_base_freq": 2e4,
      "rope_scaling": {"rope_type": "linear", "factor": 8.0}, "sliding_window": 16})"));
  LmConfig five = LmConfig::from(hugging_face("gemma3_text", R"({"sliding_window": 16, "rope_parameters": {
      "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 2e6},
      "sliding_attention": {"rope_type": "default", "rope_theta": 2e4}}})"));
  for (const LmConfig& f : {four, five}) {
    EXPECT_EQ(f.rope_base, 2e6f);
    EXPECT_EQ(f.rope_base_local, 2e4f);
    EXPECT_EQ(f.rope_linear_factor, 8);
  }
}

TEST(LmConfig, KnowsWhatGemma3LeavesOut) {
  LmConfig f = LmConfig::from(hugging_face("gemma3_text", R"({"sliding_window": 512})"));
  EXPECT_EQ(f.head_dim, 256);
  EXPECT_EQ(f.rope_base, 1e6f);
  EXPECT_EQ(f.rope_base_local, 1e4f);
  EXPECT_EQ(f.attention_scale, 1 / std::sqrt(256.0f));
  EXPECT_TRUE(f.has_tied_head);
  EXPECT_EQ(windows_of(f), "wwwww.wwwww.");
  EXPECT_FALSE(LmConfig::from(hugging_face("llama")).has_tied_head);
}

TEST(LmConfig, GivesWindowsToTheLayersThatHaveThem) {
  auto hf = [](const char* type, const char* changes) {
    return windows_of(LmConfig::from(hugging_face(type, changes)));
  };
  EXPECT_EQ(hf("mistral", R"({"sliding_window": 8})"), "wwwwwwwwwwww");
  EXPECT_EQ(hf("mistral", R"({"sliding_window": null})"), "............");
  EXPECT_EQ(hf("gemma3_text", R"({"sliding_window": 8, "sliding_window_pattern": 4})"), "www.www.www.");
  // transformers reads the key in these architectures only when told to, or not at all.
  EXPECT_EQ(hf("llama", R"({"sliding_window": 8})"), "............");
  EXPECT_EQ(hf("qwen2", R"({"sliding_window": 8})"), "............");
  EXPECT_EQ(hf("qwen2", R"({"sliding_window": 8, "use_sliding_window": true, "max_window_layers": 10})"),
            "..........ww");
}

TEST(LmConfig, ReadsGgufsWindows) {
  auto gemma = [](const char* changes) { return windows_of(LmConfig::from(gguf("gemma3", changes))); };
  EXPECT_EQ(gemma("{}"), "............");
  EXPECT_EQ(gemma(R"({"attention.sliding_window": 8})"), "wwwww.wwwww.");
  EXPECT_EQ(gemma(R"({"attention.sliding_window": 8, "attention.sliding_window_pattern": 3})"), "ww.ww.ww.ww.");
  EXPECT_EQ(gemma(R"({"block_count": 3, "attention.sliding_window": 8,
                      "attention.sliding_window_pattern": [false, true, false]})"), ".w.");
}

TEST(LmConfig, ReadsGgufsRope) {
  EXPECT_EQ(LmConfig::from(gguf("gemma3", R"({"rope.freq_base_swa": 2e4})")).rope_base_local, 2e4f);
  EXPECT_EQ(LmConfig::from(gguf("gemma3")).rope_base_local, 1e4f);
  EXPECT_TRUE(LmConfig::from(gguf("llama")).rope_interleaved);
  EXPECT_FALSE(LmConfig::from(gguf("qwen2")).rope_interleaved);
  EXPECT_EQ(LmConfig::from(gguf("llama", R"({"rope.scaling.type": "linear", "rope.scaling.factor": 4.0})"))
                .rope_linear_factor, 4);
  EXPECT_EQ(LmConfig::from(gguf("llama", R"({"rope.scaling.factor": 4.0})")).rope_linear_factor, 4);
  EXPECT_EQ(LmConfig::from(gguf("llama", R"({"rope.scale_linear": 4.0})")).rope_linear_factor, 4);
  EXPECT_EQ(LmConfig::from(gguf("llama", R"({"rope.scaling.factor": 0.0})")).rope_linear_factor, 1);
  EXPECT_EQ(LmConfig::from(gguf("llama", R"({"rope.scaling.type": "none", "rope.scaling.factor": 4.0})"))
                .rope_linear_factor, 1);
}

TEST(LmConfig, GroupsLayersByStateKind) {
  StateSpec spec = make_state_spec(LmConfig::from(hugging_face("gemma3_text", R"({"sliding_window": 16})")));
  ASSERT_EQ(spec.groups.size(), 2u);
  EXPECT_EQ(spec.groups[0].kind, StateKind::kWindowPages);
  EXPECT_EQ(spec.groups[0].window, 16);
  EXPECT_EQ(spec.groups[1].kind, StateKind::kFullPages);
  EXPECT_EQ(spec.group_of_layer, (std::vector<int>{0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 1}));
  // Keys and values, 10 layers, 2 heads of 256, 32 positions, two bytes each.
  EXPECT_EQ(spec.page_bytes(0, 32, DType::kF16), 2 * 10 * 2 * 256 * 32 * 2);
  EXPECT_EQ(spec.page_bytes(1, 32, DType::kF32), 2 * 2 * 2 * 256 * 32 * 4);
}

struct Refusal {
  Checkpoint checkpoint;
  Code code;
  const char* says;
};

void expect_refusals(const std::vector<Refusal>& refusals) {
  for (const Refusal& refusal : refusals) {
    SCOPED_TRACE(refusal.says);
    try {
      LmConfig::from(refusal.checkpoint);
      ADD_FAILURE() << "was accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), refusal.code) << error.message();
      EXPECT_NE(error.message().find(refusal.says), std::string::npos) << error.message();
      EXPECT_EQ(error.message().rfind("some/model: ", 0), 0u) << error.message();
    }
  }
}

TEST(LmConfig, RefusesWhatThisBuildDoesNotDo) {
  const Code code = Code::kUnsupported;
  expect_refusals({
      {hugging_face("llama", R"({"rope_scaling": {"rope_type": "yarn", "factor": 4.0}})"), code,
       "rope_scaling: type 'yarn' is not supported (default, linear and llama3 are)"},
      {hugging_face("qwen3", R"({"rope_parameters": {"rope_type": "dynamic", "factor": 4}})"), code, "type 'dynamic'"},
      {hugging_face("gemma3_text", R"({"rope_parameters": {"full_attention": {"rope_type": "default"},
          "sliding_attention": {"rope_type": "linear", "factor": 2.0}}})"), code, "type 'linear' of sliding_attention"},
      {gguf("qwen2", R"({"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0})"), code,
       "rope.scaling.type: 'yarn' is not supported (none and linear are"},
      {gguf("llama", R"({"rope.scaling.type": "llama3", "rope.scaling.factor": 8.0})"), code,
       "'llama3' is not supported (none and linear are; Llama 3's frequency factors belong in the tensor rope_freqs"},
      {gguf("llama", R"({"rope.dimension_count": 8})"), code, "8 of 16 dimensions"},
      {hugging_face("llama", R"({"partial_rotary_factor": 0.5})"), code, "partial_rotary_factor: 0.5"},
      {hugging_face("llama", R"({"rope_parameters": {"partial_rotary_factor": 0.5}})"), code, "partial_rotary_factor"},
      {hugging_face("llama", R"({"head_dim": 20})"), code, "20 is no multiple of 8"},
      {hugging_face("llama", R"({"head_dim": 2048})"), code, "2048 is no multiple of 8 up to 1024"},
      {hugging_face("llama", R"({"hidden_act": "gelu"})"), code, "hidden_act: 'gelu' is not supported, 'silu' is"},
      {hugging_face("gemma3_text", R"({"hidden_activation": "silu"})"), code, "hidden_activation: 'silu'"},
      {hugging_face("gemma3_text", R"({"use_bidirectional_attention": true})"), code, "only causal attention"},
      {hugging_face("llama", R"({"quantization_config": {"quant_method": "awq"}})"), code, "use a GGUF"},
      {gguf("llama", R"({"attention.head_count_kv": [2, 2, 4, 2, 2, 2, 2, 2, 2, 2, 2, 2]})"), code,
       "attention.head_count_kv: differs between layers"},
  });
}

TEST(LmConfig, RefusesHostileNumbers) {
  const Code code = Code::kCorruptFile;
  expect_refusals({
      {hugging_face("llama", R"({"hidden_size": null})"), code, "hidden_size: is missing"},
      {hugging_face("llama", R"({"hidden_size": 0})"), code, "hidden_size: expected 1..16777216, got 0"},
      {hugging_face("llama", R"({"hidden_size": -64})"), code, "got -64"},
      {hugging_face("llama", R"({"hidden_size": 64.5})"), code, "expected an integer, got number"},
      {hugging_face("llama", R"({"hidden_size": "64"})"), code, "expected an integer, got string"},
      {hugging_face("llama", R"({"vocab_size": 18446744073709551615})"), code, "vocab_size: expected"},
      {hugging_face("llama", R"({"num_hidden_layers": 1000000000})"), code, "num_hidden_layers: expected 1..1000"},
      {hugging_face("llama", R"({"num_attention_heads": 3})"), code, "3 attention heads are no multiple of 2 KV heads"},
      {hugging_face("llama", R"({"num_attention_heads": 128})"), code, "head_dim: expected 1..4096, got 0"},
      {hugging_face("llama", R"({"rms_norm_eps": 0})"), code, "rms_norm_eps: expected a number above zero, got 0"},
      {hugging_face("llama", R"({"rms_norm_eps": 1e300})"), code, "rms_norm_eps: expected a finite number"},
      {hugging_face("llama", R"({"rope_theta": -10000.0})"), code, "rope_theta: expected a number above zero"},
      {hugging_face("llama", R"({"rope_scaling": {"type": "linear", "factor": 0}})"), code, "factor: expected a"},
      {hugging_face("llama", R"({"rope_scaling": {"type": "linear"}})"), code, "factor: is missing"},
      {hugging_face("llama", R"({"rope_scaling": {"type": 5}})"), code, "type: expected a string, got integer"},
      {hugging_face("llama", R"({"rope_scaling": "linear"})"), code, "rope_scaling: expected an object, got string"},
      {hugging_face("llama", R"({"rope_scaling": {"type": "llama3", "factor": 8.0, "low_freq_factor": 4.0}})"), code,
       "high_freq_factor: expected more than low_freq_factor"},
      {hugging_face("llama", R"({"tie_word_embeddings": "yes"})"), code, "expected true or false, got string"},
      {hugging_face("mistral", R"({"sliding_window": -1})"), code, "sliding_window: expected 0..1073741824, got -1"},
      {hugging_face("gemma3_text", R"({"layer_types": ["full_attention"]})"), code, "expected one entry per layer"},
      {hugging_face("gemma3_text", R"({"query_pre_attn_scalar": 0})"), code, "query_pre_attn_scalar: expected"},
      {hugging_face("gemma3_text", R"({"final_logit_softcapping": -30.0})"), code, "of at least zero, got -30"},
      {gguf("llama", R"({"vocab_size": null})"), code, "llama.vocab_size: is missing"},
      {gguf("llama", R"({"attention.head_count": 0})"), code, "llama.attention.head_count: expected 1..4096, got 0"},
      {gguf("llama", R"({"attention.key_length": 9999})"), code, "llama.attention.key_length: expected 1..4096"},
      {gguf("llama", R"({"rope.freq_base": 0.0})"), code, "llama.rope.freq_base: expected a number above zero"},
      {gguf("llama", R"({"rope.scaling.factor": -4.0})"), code, "rope.scaling.factor: expected a number of"},
      {gguf("gemma3", R"({"attention.sliding_window": 8, "attention.sliding_window_pattern": [true]})"), code,
       "attention.sliding_window_pattern: expected one entry per layer"},
  });
}

}  // namespace
}  // namespace hearth
