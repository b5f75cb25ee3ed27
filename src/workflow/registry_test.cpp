// The native nodes against ComfyUI's own declarations (tests/golden/object_info.json), and the page made from them.
#include "workflow/registry.h"

#include <cstdlib>
#include <fstream>
#include <sstream>

#include <gtest/gtest.h>

#include "formats/json/json.h"
#include "workflow/docs.h"
#include "workflow/testing/fixture.h"

namespace hearth::workflow {
namespace {

std::string read_file(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// Where Hearth follows a newer ComfyUI than the golden's, or leaves out choices it cannot serve.
bool differs_on_purpose(const std::string& node, const std::string& input) {
  static const std::map<std::string, std::string> kKnown = {{"LatentFromBatch", "batch_index"},
                                                            {"EmptyLatentImage", "width height"},
                                                            {"ModelSamplingDiscrete", "sampling"},
                                                            {"ComfySwitchNode", "on_false on_true"}};
  auto known = kKnown.find(node);
  return known != kKnown.end() && known->second.find(input) != std::string::npos;
}

bool same(const Value& a, const Value& b) {
  return a.is_number() && b.is_number() ? a.as_double() == b.as_double() : a == b;
}

void compare_input(const std::string& node, const InputSpec& input, const Value& golden) {
  SCOPED_TRACE(node + "." + input.name);
  const Value &type = golden.as_list()[0], &options = golden.as_list()[1];
  if (differs_on_purpose(node, input.name)) return;
  if (type.is_string()) {
    EXPECT_EQ(input.type, type.as_string());
  } else {
    EXPECT_TRUE(input.is_combo());
    size_t known = 0;
    for (const std::string& name : input.choices) {
      for (const Value& theirs : type.as_list()) known += theirs.as_string() == name;
    }
    bool is_engine_list = input.name == "sampler_name";  // has names newer than the golden
    EXPECT_GE(known + (is_engine_list ? 1 : 0), input.choices.size()) << "a choice ComfyUI does not have";
    if (!is_engine_list && !input.choices_now) {
      EXPECT_GE(input.choices.size() + 1, type.size());
    }
  }
  for (const auto& [key, value] : options.as_object()) {
    bool says_nothing = (key == "multiline" && !value.as_bool()) || (key == "default" && value.is_null());
    if (says_nothing) continue;
    const Value* ours = input.options.find(key);
    EXPECT_TRUE(ours && same(*ours, value))
        << key << ": " << (ours ? json::write(*ours) : "absent") << ", ComfyUI has " << json::write(value);
  }
}

TEST(NativeNodes, AreDeclaredAsComfyUiDeclaresThem) {
  const char* root = std::getenv("HEARTH_SOURCE_DIR");
  if (!root) GTEST_SKIP() << "HEARTH_SOURCE_DIR names the source tree; ctest sets it";
  Value golden = testing::parse(read_file(std::string(root) + "/tests/golden/object_info.json"));
  Registry registry = native_registry();
  EXPECT_GE(golden.size(), 100u);
  for (const auto& [name, node] : golden.as_object()) {
    const NodeType* type = registry.find(name);
    ASSERT_TRUE(type) << name;
    EXPECT_EQ(type->display_name.empty() ? name : type->display_name, node.at("display").as_string());
    EXPECT_EQ(type->category, node.at("category").as_string()) << name;
    EXPECT_EQ(type->python_module, node.at("module").as_string()) << name;
    EXPECT_EQ(type->is_output, node.at("output_node").as_bool()) << name;
    for (const char* group : {"required", "optional"}) {
      InputSpec::Kind kind = group[0] == 'r' ? InputSpec::Kind::kRequired : InputSpec::Kind::kOptional;
      std::vector<std::string> ours, theirs;
      for (const InputSpec& input : type->inputs) {
        if (input.kind == kind) ours.push_back(input.name);
      }
      for (const auto& [input, spec] : node.at(group).as_object()) {
        theirs.push_back(input);
        if (const InputSpec* own = type->input(input)) compare_input(name, *own, spec);
      }
      EXPECT_EQ(ours, theirs) << name << ": order is that of the widgets";
    }
    bool is_newer = name == "SaveImage" || name == "PreviewImage" || name == "ComfySwitchNode";
    if (is_newer) continue;
    const Value::List& outputs = node.at("output").as_list();
    ASSERT_EQ(type->outputs.size(), outputs.size()) << name;
    for (size_t i = 0; i < outputs.size(); ++i) {
      const OutputSpec& output = type->outputs[i];
      EXPECT_EQ(output.type, outputs[i].as_string()) << name;
      EXPECT_EQ(output.name.empty() ? output.type : output.name, node.at("output_name").as_list()[i].as_string())
          << name;
    }
  }
}

TEST(ObjectInfo, HasTheShapeClientsRead) {
  testing::Folders folders;
  Places places = folders.places();
  folders.write("models/checkpoints/m.safetensors", "");
  Registry registry = native_registry();
  Value info = object_info(registry, places);
  EXPECT_EQ(info.size(), registry.all().size());
  const Value& loader = info.at("CheckpointLoaderSimple");
  EXPECT_EQ(
      json::write(loader.at("input")),
      R"({"required":{"ckpt_name":[["m.safetensors"],{"tooltip":"File with denoiser, text encoders and VAE, of the folder checkpoints"}]}})");
  EXPECT_EQ(json::write(loader.at("input_order")), R"({"required":["ckpt_name"]})");
  EXPECT_EQ(json::write(loader.at("output_name")), R"(["MODEL","CLIP","VAE"])");
  const Value& sampler = info.at("KSampler");
  EXPECT_EQ(
      json::write(sampler.at("input").at("required").at("seed")),
      R"(["INT",{"default":0,"min":0,"max":18446744073709551615,"control_after_generate":true,"tooltip":"Equal seeds give equal pictures"}])");
  EXPECT_EQ(sampler.at("input").at("required").at("sampler_name").as_list()[0].as_list()[0].as_string(), "euler");
  EXPECT_EQ(json::write(info.at("SaveImage").at("input").at("hidden")),
            R"({"prompt":"PROMPT","extra_pnginfo":"EXTRA_PNGINFO"})");
  EXPECT_TRUE(info.at("SaveImage").at("output_node").as_bool());
  for (const auto& [name, node] : info.as_object()) {
    for (const char* key : {"input", "input_order", "is_input_list", "output", "output_is_list", "output_name", "name",
                            "display_name", "description", "python_module", "category", "output_node"}) {
      EXPECT_TRUE(node.find(key)) << name << " lacks " << key;
    }
  }
}

TEST(NativeNodes, SayWhatTheyDoAndWhatTheirInputsAre) {
  Registry registry = native_registry();
  for (const NodeType* type : registry.all()) {
    EXPECT_TRUE(type->description.ends_with('.')) << type->class_name << ": a sentence says what it does";
    for (const InputSpec& input : type->inputs) {
      if (input.kind == InputSpec::Kind::kHidden) continue;
      const Value* tooltip = input.options.find("tooltip");
      EXPECT_TRUE(tooltip && !tooltip->as_string().empty()) << type->class_name << "." << input.name << " has no help";
    }
  }
  EXPECT_EQ(registry.find("CLIPTextEncodeSDXL")->input("crop_w")->options.at("tooltip").as_string(),
            "Pixels the model is told were cut off at the left");
  EXPECT_EQ(registry.find("CropMask")->input("width")->options.at("tooltip").as_string(), "Width that stays, in pixels")
      << "what holds for one node goes before what holds for all";
}

TEST(NodesPage, IsTheOneInTheCode) {
  const char* root = std::getenv("HEARTH_SOURCE_DIR");
  if (!root) GTEST_SKIP() << "HEARTH_SOURCE_DIR names the source tree; ctest sets it";
  std::string path = std::string(root) + "/docs/nodes.md", wanted = render_nodes_page(native_registry());
  if (std::getenv("HEARTH_UPDATE_DOCS")) std::ofstream(path) << wanted;
  EXPECT_TRUE(read_file(path) == wanted) << "docs/nodes.md is out of date: run workflow_test with HEARTH_UPDATE_DOCS=1";
}

}  // namespace
}  // namespace hearth::workflow
