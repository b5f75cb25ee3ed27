// Every row of ComfyUI's validation errors, and prompts nobody means well with.
#include "workflow/graph/validate.h"

#include <cstdlib>

#include <gtest/gtest.h>

#include <fmt/format.h>

#include "core/base/files.h"
#include "formats/json/json.h"
#include "workflow/testing/fixture.h"

namespace hearth::workflow {
namespace {

using testing::Bench;
using testing::parse;

class Validation : public ::testing::Test {
 protected:
  std::map<std::string, int> calls_;
  Bench bench_{testing::fake_registry(calls_)};

  // The errors of node `id` after checking `prompt`.
  Value errors(std::string_view prompt, std::string_view id = "1") {
    Verdict verdict = bench_.check(prompt);
    const Value* node = verdict.node_errors.find(id);
    return node ? node->at("errors") : Value::list();
  }
};

// A Pick node where everything but `change` is well.
std::string pick(std::string_view change) {
  Value inputs = parse(R"({"color": "red", "many": "x", "name": "n", "on": true, "weight": 1, "image": ["9", 0]})");
  const Value changes = parse(change);
  for (const auto& [name, value] : changes.as_object()) inputs.set(name, value);
  Value prompt = Value::object({{"1", Value::object({{"class_type", "Pick"}, {"inputs", inputs}})}});
  return json::write(prompt);
}

struct Row {
  const char* what;
  const char* inputs;
  const char* error;  // the error with that input_name, of the fields named here
};

TEST_F(Validation, LiteralErrorsSayWhatComfyUiSays) {
  const Row rows[] = {
      {"missing", R"({"class_type": "Number", "inputs": {}})",
       R"({"type": "required_input_missing", "message": "Required input is missing", "details": "value",
           "extra_info": {"input_name": "value"}})"},
      {"link of three", R"({"class_type": "Number", "inputs": {"value": ["2", 0, 1]}})",
       R"({"type": "bad_linked_input",
           "message": "Bad linked input, must be a length-2 list of [node_id, slot_index]", "details": "value",
           "extra_info": {"input_name": "value", "input_config": ["INT", {"default": 1, "min": 0, "max": 100}],
                          "received_value": ["2", 0, 1]}})"},
      {"no number", R"({"class_type": "Number", "inputs": {"value": "many"}})",
       R"({"type": "invalid_input_type", "message": "Failed to convert an input value to a INT value",
           "details": "value, many, invalid literal for int() with base 10: 'many'",
           "extra_info": {"input_name": "value", "input_config": ["INT", {"default": 1, "min": 0, "max": 100}],
                          "received_value": "many",
                          "exception_message": "invalid literal for int() with base 10: 'many'"}})"},
      {"null", R"({"class_type": "Number", "inputs": {"value": null}})",
       R"({"type": "invalid_input_type", "message": "Failed to convert an input value to a INT value",
           "details": "value, None, int() argument must be a string, a bytes-like object or a real number, not 'NoneType'",
           "extra_info": {"input_name": "value", "input_config": ["INT", {"default": 1, "min": 0, "max": 100}],
                          "received_value": null,
                          "exception_message":
                            "int() argument must be a string, a bytes-like object or a real number, not 'NoneType'"}})"},
      {"too small", R"({"class_type": "Number", "inputs": {"value": -3.9}})",
       R"({"type": "value_smaller_than_min", "message": "Value -3 smaller than min of 0", "details": "value",
           "extra_info": {"input_name": "value", "input_config": ["INT", {"default": 1, "min": 0, "max": 100}],
                          "received_value": -3}})"},
      {"too big, above int64", R"({"class_type": "Number", "inputs": {"value": 18446744073709551615}})",
       R"({"type": "value_bigger_than_max", "message": "Value 18446744073709551615 bigger than max of 100",
           "details": "value",
           "extra_info": {"input_name": "value", "input_config": ["INT", {"default": 1, "min": 0, "max": 100}],
                          "received_value": 18446744073709551615}})"},
  };
  for (const Row& row : rows) {
    Value prompt = Value::object(
        {{"1", parse(row.inputs)}, {"2", parse(R"({"class_type": "Show", "inputs": {"value": ["1", 0]}})")}});
    Value found = errors(json::write(prompt));
    ASSERT_EQ(found.size(), 1u) << row.what;
    EXPECT_EQ(json::write(found.as_list()[0]), json::write(parse(row.error))) << row.what;
    EXPECT_EQ(bench_.verdict.node_errors.at("1").at("dependent_outputs"), Value(Value::List{"2"})) << row.what;
    EXPECT_EQ(bench_.verdict.node_errors.at("1").at("class_type").as_string(), "Number");
    EXPECT_EQ(bench_.verdict.node_errors.size(), 1u) << "nodes below a bad one have no errors of their own";
  }
}

TEST_F(Validation, ChoicesAreExactAndLongListsAreNotSentBack) {
  Value found = errors(pick(R"({"color": "blue", "image": 1})"));
  EXPECT_EQ(json::write(found.as_list()[0]),
            json::write(parse(R"({"type": "value_not_in_list", "message": "Value not in list",
              "details": "color: 'blue' not in ['red', 'green']",
              "extra_info": {"input_name": "color", "input_config": [["red", "green"], {}],
                             "received_value": "blue"}})")));
  EXPECT_EQ(found.as_list()[1].at("details").as_string(), "many: 'x' not in []");

  std::vector<std::string> names;
  for (int i = 0; i < 21; ++i) names.push_back(fmt::format("n{}", i));
  Registry registry;
  registry.add({.class_name = "Long", .inputs = {choice("name", names)}, .is_output = true, .run = [](NodeCall&) {
                  return NodeResult{};
                }});
  Graph graph = Graph::parse(parse(R"({"1": {"class_type": "Long", "inputs": {"name": 5}}})")).value();
  Verdict verdict = validate(graph, registry, bench_.places);
  const Value& error = verdict.node_errors.at("1").at("errors").as_list()[0];
  EXPECT_EQ(error.at("details").as_string(), "name: '5' not in (list of length 21)");
  EXPECT_TRUE(error.at("extra_info").at("input_config").is_null());
}

TEST_F(Validation, LinksMustFitTheirSockets) {
  Value found = errors(R"({"1": {"class_type": "Pick", "inputs": {"color": "red", "many": ["2", 0], "name": ["2", 0],
      "on": false, "weight": 0.5, "image": ["2", 0]}}, "2": {"class_type": "Number", "inputs": {"value": 1}}})");
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found.as_list()[1].at("type").as_string(), "return_type_mismatch");
  EXPECT_EQ(found.as_list()[1].at("message").as_string(), "Return type mismatch between linked nodes");
  EXPECT_EQ(found.as_list()[1].at("details").as_string(), "name, received_type(INT) mismatch input_type(STRING)");
  EXPECT_EQ(found.as_list()[2].at("details").as_string(), "image, received_type(INT) mismatch input_type(IMAGE,MASK)");
  EXPECT_EQ(found.as_list()[2].at("extra_info").at("linked_node"), parse(R"(["2", 0])"));
}

TEST_F(Validation, MalformedLinksFailAsTheyDoInPython) {
  struct Case {
    const char* link;
    const char* type;
    const char* details;
  };
  for (const Case& c : {Case{R"(["99", 0])", "KeyError", "'99'"}, Case{"[7, 0]", "KeyError", "7"},
                        Case{"[[], 0]", "TypeError", "unhashable type: 'list'"},
                        Case{R"(["2", 1])", "IndexError", "tuple index out of range"},
                        Case{R"(["2", "0"])", "TypeError", "tuple indices must be integers or slices, not str"},
                        Case{R"(["2", -1])", "IndexError", "tuple index out of range"}}) {
    Value top = errors(fmt::format(R"({{"1": {{"class_type": "Show", "inputs": {{"value": {}}}}},
        "2": {{"class_type": "Number", "inputs": {{"value": 1}}}}}})",
                                   c.link));
    ASSERT_EQ(top.size(), 1u) << c.link;
    EXPECT_EQ(top.as_list()[0].at("type").as_string(), "exception_during_validation");
    EXPECT_EQ(top.as_list()[0].at("message").as_string(), "Exception when validating node");
    EXPECT_EQ(top.as_list()[0].at("details").as_string(), c.details);
    EXPECT_EQ(top.as_list()[0].at("extra_info").at("exception_type").as_string(), c.type);

    Value inner = errors(fmt::format(R"({{"0": {{"class_type": "Show", "inputs": {{"value": ["1", 0]}}}},
        "1": {{"class_type": "Add", "inputs": {{"a": {}}}}},
        "2": {{"class_type": "Number", "inputs": {{"value": 1}}}}}})",
                                     c.link));
    ASSERT_EQ(inner.size(), 1u) << c.link;
    EXPECT_EQ(inner.as_list()[0].at("type").as_string(), "exception_during_inner_validation");
    EXPECT_EQ(inner.as_list()[0].at("extra_info").at("input_name").as_string(), "value");
    EXPECT_EQ(inner.as_list()[0].at("extra_info").at("linked_node"), parse(R"(["1", 0])"));
  }
}

TEST_F(Validation, CyclesAreToldAtEveryNodeOfThem) {
  Verdict verdict = bench_.check(R"({"o": {"class_type": "Show", "inputs": {"value": ["a", 0]}},
      "a": {"class_type": "Add", "inputs": {"a": ["b", 0]}}, "b": {"class_type": "Add", "inputs": {"a": ["a", 0]}}})");
  EXPECT_FALSE(verdict.is_valid);
  for (const char* id : {"a", "b"}) {
    const Value& error = verdict.node_errors.at(id).at("errors").as_list()[0];
    EXPECT_EQ(error.at("type").as_string(), "dependency_cycle");
    EXPECT_EQ(error.at("message").as_string(), "Dependency cycle detected");
    EXPECT_EQ(error.at("details").as_string(), "a (Add) -> b (Add) -> a (Add)");
    EXPECT_EQ(error.at("extra_info").at("node_id").as_string(), id);
    EXPECT_EQ(error.at("extra_info").at("cycle_nodes"), parse(R"(["a", "b"])"));
  }
  EXPECT_FALSE(bench_.check(R"({"o": {"class_type": "Show", "inputs": {"value": ["o", 0]}}})").is_valid);
}

TEST_F(Validation, TopLevelErrors) {
  Verdict none = bench_.check(R"({"1": {"class_type": "Number", "inputs": {"value": 1}}})");
  EXPECT_EQ(json::write(none.error),
            R"({"type":"prompt_no_outputs","message":"Prompt has no outputs","details":"","extra_info":{}})");
  Verdict bad =
      bench_.check(R"({"1": {"class_type": "Show", "inputs": {}}, "2": {"class_type": "Show", "inputs": {}}})");
  EXPECT_EQ(bad.error.at("type").as_string(), "prompt_outputs_failed_validation");
  EXPECT_EQ(bad.error.at("message").as_string(), "Prompt outputs failed validation");
  EXPECT_EQ(bad.error.at("details").as_string(), "Required input is missing: value\nRequired input is missing: value");
  Verdict nameless = bench_.check(R"({"4": {"inputs": {}}})");
  EXPECT_EQ(nameless.error.at("type").as_string(), "missing_node_type");
  EXPECT_EQ(nameless.error.at("message").as_string(),
            "Node 'ID #4' has no class_type. The workflow may be corrupted or a custom node is missing.");
  EXPECT_TRUE(nameless.error.at("extra_info").at("class_type").is_null());
  Verdict foreign = bench_.check(R"({"4": {"class_type": "FaceDetailer", "_meta": {"title": "Faces"}, "inputs": {}}})");
  EXPECT_EQ(foreign.error.at("details").as_string(), "Node ID '#4'");
  EXPECT_TRUE(foreign.error.at("message").as_string().starts_with(
      "Node 'Faces' not found. The custom node may not be installed."));
  EXPECT_EQ(foreign.error.at("extra_info").at("pack").as_string(), "ComfyUI Impact Pack");
  EXPECT_EQ(foreign.error.at("extra_info").at("node_title").as_string(), "Faces");
  EXPECT_EQ(foreign.node_errors.size(), 0u);
}

TEST_F(Validation, GoodOutputsRunBesideBadOnes) {
  Verdict verdict = bench_.check(R"({"1": {"class_type": "Show", "inputs": {"value": 1}},
      "2": {"class_type": "Show", "inputs": {}}, "3": {"class_type": "Show", "inputs": {"value": "x"}}})");
  EXPECT_TRUE(verdict.is_valid);
  EXPECT_TRUE(verdict.error.is_null());
  EXPECT_EQ(verdict.outputs, (std::vector<std::string>{"1", "3"}));
  EXPECT_EQ(verdict.node_errors.size(), 1u);
  EXPECT_EQ(bench_
                .check(R"({"1": {"class_type": "Show", "inputs": {"value": 1}},
      "2": {"class_type": "Show", "inputs": {}}})",
                       std::vector<std::string>{"1", "77"})
                .node_errors.size(),
            0u);
  EXPECT_EQ(bench_.check(R"({"1": {"class_type": "Show", "inputs": {"value": 1}}})", std::vector<std::string>{})
                .error.at("type")
                .as_string(),
            "prompt_no_outputs");
}

TEST_F(Validation, ConversionsAreWrittenBack) {
  bench_.check(R"({"1": {"class_type": "Pick", "inputs": {"color": "red", "many": ["2", 0], "name": 1.0,
      "on": "no", "weight": " 1_0e-1 ", "image": ["2", 0], "more": 1}},
      "2": {"class_type": "Number", "inputs": {"value": {"__value__": "0_7"}}},
      "3": {"class_type": "Show", "inputs": {"value": ["2", 0]}}})");
  EXPECT_EQ(json::write(*bench_.graph.inputs("1")),
            R"({"color":"red","many":["2",0],"name":"1.0","on":true,"weight":1.0,"image":["2",0],"more":1})");
  EXPECT_EQ(json::write(*bench_.graph.inputs("2")), R"({"value":7})");
}

TEST_F(Validation, NodesChecksOfTheirOwn) {
  Registry registry;
  registry.add({.class_name = "File",
                .inputs = {choice("image", {"a.png"}), integer("n", {.value = 0, .min = 0, .max = 1})},
                .is_output = true,
                .run = [](NodeCall&) { return NodeResult{}; },
                .own_checks = {"image"},
                .validate = [](const Places&, const Value& literals) -> std::optional<std::string> {
                  if (literals.at("image").as_string() == "there.png") return std::nullopt;
                  return "Invalid image file: " + literals.at("image").as_string();
                }});
  auto check = [&](const char* image) {
    Graph graph = Graph::parse(parse(fmt::format(
                                   R"({{"1": {{"class_type": "File", "inputs": {{"image": "{}", "n": 0}}}}}})", image)))
                      .value();
    return validate(graph, registry, bench_.places);
  };
  EXPECT_TRUE(check("there.png").is_valid) << "outside the combo, but the node says it is fine";
  EXPECT_EQ(json::write(check("x.png").node_errors.at("1").at("errors").as_list()[0]),
            R"({"type":"custom_validation_failed","message":"Custom validation failed for node",)"
            R"("details":"image - Invalid image file: x.png","extra_info":{"input_name":"image"}})");
}

TEST_F(Validation, DeepAndWideGraphsCostNoStack) {
  constexpr int kNodes = 10000;
  Value prompt = Value::object();
  for (int i = 0; i < kNodes; ++i) {
    Value inputs = i == 0 ? parse(R"({"a": 1})")
                          : Value::object({{"a", Value(Value::List{std::to_string(i - 1), 0})},
                                           {"b", Value(Value::List{std::to_string(i / 2), 0})}});
    if (i == 1) inputs.set("b", 0);
    prompt.set(std::to_string(i), Value::object({{"class_type", "Add"}, {"inputs", inputs}}));
  }
  prompt.set("out", Value::object({{"class_type", "Show"},
                                   {"inputs", Value::object({{"value", Value(Value::List{"9999", 0})}})}}));
  Graph graph = Graph::parse(prompt).value();
  EXPECT_TRUE(validate(graph, bench_.registry, bench_.places).is_valid);
  prompt.find("0")->find("inputs")->set("a", Value(Value::List{"9999", 0}));
  graph = Graph::parse(prompt).value();
  EXPECT_FALSE(validate(graph, bench_.registry, bench_.places).is_valid) << "a cycle of ten thousand nodes";
}

TEST_F(Validation, HostilePromptsAreRefusedInWords) {
  EXPECT_FALSE(Graph::parse(parse("[]")));
  EXPECT_FALSE(Graph::parse(parse(R"({"1": 5})")));
  for (const char* node :
       {R"({"class_type": 5, "inputs": {}})", R"({"class_type": "Show"})", R"({"class_type": "Show", "inputs": []})",
        R"({"class_type": "Show", "inputs": {"value": []}})",
        R"({"class_type": "Show", "inputs": {"value": [null, null]}})",
        R"({"class_type": "Add", "inputs": {"a": 1e300}})",
        R"({"class_type": "Pick", "inputs": {"weight": "nan", "name": {"a": [1]}, "on": {}}})"}) {
    EXPECT_FALSE(
        bench_
            .check(fmt::format(R"({{"1": {}, "2": {{"class_type": "Show", "inputs": {{"value": ["1", 0]}}}}}})", node))
            .is_valid)
        << node;
  }
}

TEST(MissingNodes, PacksAreKnownByTheirClasses) {
  Registry registry = native_registry();
  struct Case {
    const char* name;
    const char* pack;
    const char* nearest;
  };
  for (const Case& c :
       {Case{"Power Lora Loader (rgthree)", "rgthree-comfy", "LoraLoader"},
        Case{"IPAdapterAdvanced", "ComfyUI IPAdapter plus", ""}, Case{"UltimateSDUpscale", "Ultimate SD Upscale", ""},
        Case{"UnetLoaderGGUF", "ComfyUI-GGUF", "UNETLoader"},
        Case{"CannyEdgePreprocessor", "ComfyUI's ControlNet Auxiliary Preprocessors", ""},
        Case{"VHS_VideoCombine", "ComfyUI VideoHelperSuite", ""},
        Case{"ADE_LoadAnimateDiffModel", "AnimateDiff Evolved", ""},
        Case{"KSampler (Efficient)", "Efficiency Nodes", "KSampler"}, Case{"Image Save", "WAS Node Suite", "SaveImage"},
        Case{"ImageResize+", "ComfyUI Essentials", "ImageScale"}, Case{"KSamplr", "", "KSampler"}}) {
    MissingClass missing = describe_missing(c.name, registry);
    EXPECT_EQ(missing.pack, c.pack) << c.name;
    if (*c.nearest) {
      EXPECT_EQ(missing.nearest, c.nearest) << c.name;
    }
  }
}

TEST(MissingNodes, EveryClassOfComfyUiIsHereOrSaidToBeItsOwn) {
  const char* root = std::getenv("HEARTH_SOURCE_DIR");
  if (!root) GTEST_SKIP() << "HEARTH_SOURCE_DIR names the source tree; ctest sets it";
  Registry registry = native_registry();
  const Value modules =
      json::parse(read_text(std::string(root) + "/tests/golden/comfyui_classes.json", 1 << 20).value()).value();
  int here = 0;
  for (const auto& [module, names] : modules.as_object()) {
    for (const Value& name : names.as_list()) {
      if (registry.find(name.as_string()) && ++here) continue;
      MissingClass missing = describe_missing(name.as_string(), registry);
      EXPECT_EQ(missing.pack, "ComfyUI") << name.as_string() << " of " << module;
      EXPECT_FALSE(missing.purpose.empty()) << name.as_string();
    }
  }
  EXPECT_GE(here, 160);
}

TEST(MissingNodes, StandInsAreHere) {
  Registry registry = native_registry();
  for (const char* name : {"PerpNeg", "TripleCLIPLoader", "SaveVideo", "ImageGrid", "TextToUppercase", "RegexReplace",
                           "BatchImagesNode", "GITSScheduler", "KlingImage2VideoNode"}) {
    MissingClass missing = describe_missing(name, registry);
    EXPECT_EQ(missing.nearest.empty(), std::string(name).starts_with("Kling")) << name;
    EXPECT_EQ(missing.pack, "ComfyUI") << name;
  }
}

}  // namespace
}  // namespace hearth::workflow
