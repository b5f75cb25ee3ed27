// Native nodes: image, mask and latent arithmetic against ComfyUI's own (tests/golden/image_nodes.json), files in and
// out.
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "formats/image/picture.h"
#include "formats/json/json.h"
#include "workflow/nodes/common.h"
#include "workflow/testing/fixture.h"

namespace hearth::workflow {
namespace {

using testing::Bench;
using testing::parse;

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

class Quiet final : public CallWatch {
 public:
  bool is_cancelled() const override { return false; }
  void progress(int64_t, int64_t, const EncodedPreview*) override {}
  void text(std::string_view) override {}
};

Tensor tensor_of(const Value& value, Allocator& memory) {
  Shape shape;
  for (const Value& side : value.at("shape").as_list()) shape.append(side.as_int());
  Tensor tensor = memory.tensor(DType::kF32, shape, "test").value();
  for (int64_t i = 0; i < tensor.numel(); ++i) {
    tensor.data<float>()[i] = static_cast<float>(value.at("data").as_list()[static_cast<size_t>(i)].as_double());
  }
  return tensor;
}

NodeValue value_of(const Value& value, Allocator& memory) {
  if (const Value* samples = value.find("samples")) {
    diffuse::Latent latent;
    latent.samples = tensor_of(*samples, memory);
    return latent_value(latent);
  }
  return value.is_object() ? image_value(tensor_of(value, memory)) : NodeValue(value);
}

TEST(NodeMaths, IsComfyUis) {
  const char* root = std::getenv("HEARTH_SOURCE_DIR");
  if (!root) GTEST_SKIP() << "HEARTH_SOURCE_DIR names the source tree; ctest sets it";
  Value cases = parse(read_file(std::string(root) + "/tests/golden/image_nodes.json"));
  Bench bench(native_registry());
  Quiet watch;
  NodeCall::About about{.node_id = "1"};
  EXPECT_GE(cases.size(), 74u);
  for (size_t n = 0; n < cases.size(); ++n) {
    const Value& one = cases.as_list()[n];
    const NodeType* type = bench.registry.find(one.at("class").as_string());
    ASSERT_TRUE(type) << one.at("class").as_string();
    SCOPED_TRACE(fmt::format("case {}: {}", n, type->class_name));
    NodeCall::Inputs inputs;
    for (const auto& [name, value] : one.at("inputs").as_object()) {
      inputs.by_name.emplace_back(name, NodeValues{value_of(value, bench.memory)});
    }
    NodeCall call(*type, std::move(inputs), about, bench.services, watch);
    NodeResult result = type->run(call);
    const Value::List& wanted = one.at("outputs").as_list();
    ASSERT_EQ(result.outputs.size(), wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      const NodeValue& value = result.outputs[i].at(0);
      Tensor got = value.is<Tensor>() ? value.as<Tensor>() : value.as<diffuse::Latent>().samples;
      NodeValue golden = value_of(wanted[i], bench.memory);
      Tensor want = golden.is<Tensor>() ? golden.as<Tensor>() : golden.as<diffuse::Latent>().samples;
      ASSERT_EQ(got.shape(), want.shape()) << got.shape().text() << " " << want.shape().text();
      double worst = 0;
      for (int64_t k = 0; k < got.numel(); ++k) {
        worst = std::max(worst, std::fabs(static_cast<double>(got.data<float>()[k]) - want.data<float>()[k]));
      }
      EXPECT_LT(worst, 2e-6 * (value.is<Tensor>() ? 1 : 4));
    }
  }
}

TEST(SamplerNodes, OfferOnlyParametersTheirSamplersTake) {
  Bench bench(native_registry());
  Quiet watch;
  NodeCall::About about{.node_id = "1"};
  int samplers = 0;
  for (const NodeType* type : bench.registry.all()) {
    if (type->outputs.size() != 1 || type->outputs[0].type != "SAMPLER") continue;
    NodeCall call(*type, {}, about, bench.services, watch);
    EXPECT_NO_THROW(type->run(call)) << type->class_name;
    ++samplers;
  }
  EXPECT_EQ(samplers, 12);
}

TEST(NodeFiles, PicturesAreSavedWithTheirWorkflowAndLoadedAgain) {
  Bench bench(native_registry());
  Value extra = parse(R"({"extra_pnginfo": {"workflow": {"name": "ü"}}})");
  const char* prompt =
      R"({"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 4, "batch_size": 2, "color": 1212159}},
      "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "sub/pic"}}})";
  JobResult result = bench.run(prompt, extra);
  ASSERT_EQ(result.end, JobResult::End::kSuccess) << bench.events.lines.back();
  EXPECT_EQ(json::write(result.outputs),
            R"({"2":{"images":[{"filename":"pic_00001_.png","subfolder":"sub","type":"output"},)"
            R"({"filename":"pic_00002_.png","subfolder":"sub","type":"output"}]}})");
  image::Decoded file = image::decode(read_file(bench.places.output + "/sub/pic_00002_.png"));
  EXPECT_EQ(file.picture.width, 8);
  EXPECT_EQ((std::vector<uint8_t>(file.picture.samples.begin(), file.picture.samples.begin() + 3)),
            (std::vector<uint8_t>{0x12, 0x7e, 0xff}));
  ASSERT_EQ(file.texts.size(), 2u);
  EXPECT_EQ(file.texts[0].key, "prompt");
  EXPECT_EQ(parse(file.texts[0].text), parse(prompt));
  EXPECT_EQ(file.texts[1].text, R"({"name": "\u00fc"})");

  bench.run(prompt, extra);
  EXPECT_FALSE(std::filesystem::exists(bench.places.output + "/sub/pic_00003_.png")) << "a cached output saves nothing";

  JobResult loaded = bench.run(
      R"({"1": {"class_type": "LoadImage", "inputs": {"image": "sub/pic_00001_.png [output]", "upload": "image"}},
      "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}},
      "3": {"class_type": "MaskPreview", "inputs": {"mask": ["1", 1]}}})");
  ASSERT_EQ(loaded.end, JobResult::End::kSuccess) << bench.events.lines.back();
  const Value& shown = loaded.outputs.at("2").at("images").as_list()[0];
  EXPECT_EQ(shown.at("type").as_string(), "temp");
  image::Decoded again = image::decode(read_file(bench.places.temp + "/" + shown.at("filename").as_string()));
  EXPECT_EQ(again.picture.samples, file.picture.samples);
}

TEST(NodeFiles, LoadImageChecksItsFileAndNoticesANewOne) {
  Bench bench(native_registry());
  const char* prompt = R"({"1": {"class_type": "LoadImageMask", "inputs": {"image": "a.png", "channel": "red"}},
      "2": {"class_type": "MaskPreview", "inputs": {"mask": ["1", 0]}}})";
  Verdict verdict = bench.check(prompt);
  EXPECT_EQ(verdict.node_errors.at("1").at("errors").as_list()[0].at("details").as_string(),
            "image - Invalid image file: a.png");
  image::Picture picture{.width = 2, .height = 1, .channels = 3, .samples = {255, 0, 0, 0, 0, 0}};
  bench.folders.write("input/a.png", image::encode_png(picture));
  EXPECT_EQ(bench.run(prompt).end, JobResult::End::kSuccess);
  bench.run(prompt);
  EXPECT_EQ(bench.events.lines[1], R"(execution_cached ["1","2"])");
  picture.samples[0] = 3;
  bench.folders.write("input/a.png", image::encode_png(picture));
  bench.run(prompt);
  EXPECT_EQ(bench.events.lines[1], "execution_cached []");
  EXPECT_FALSE(bench
                   .check(R"({"1": {"class_type": "LoadImage", "inputs": {"image": "../../../etc/passwd"}},
      "2": {"class_type": "PreviewImage", "inputs": {"images": ["1", 0]}}})")
                   .is_valid);
}

TEST(NodeFiles, LatentsAreSavedAndLoadedAgain) {
  Bench bench(native_registry());
  JobResult saved =
      bench.run(R"({"1": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
      "2": {"class_type": "SaveLatent", "inputs": {"samples": ["1", 0], "filename_prefix": "l"}}})");
  ASSERT_EQ(saved.end, JobResult::End::kSuccess) << bench.events.lines.back();
  EXPECT_EQ(json::write(saved.outputs.at("2")),
            R"({"latents":[{"filename":"l_00001_.latent","subfolder":"","type":"output"}]})");
  std::filesystem::rename(bench.places.output + "/l_00001_.latent", bench.places.input + "/l.latent");
  JobResult loaded = bench.run(R"({"1": {"class_type": "LoadLatent", "inputs": {"latent": "l.latent"}},
      "2": {"class_type": "SaveLatent", "inputs": {"samples": ["1", 0], "filename_prefix": "again"}}})");
  EXPECT_EQ(loaded.end, JobResult::End::kSuccess) << bench.events.lines.back();
}

TEST(NodeFiles, BatchesAreSavedAsAnimations) {
  Bench bench(native_registry());
  JobResult result = bench.run(
      R"({"1": {"class_type": "EmptyImage", "inputs": {"width": 6, "height": 4, "batch_size": 1, "color": 1193046}},
      "2": {"class_type": "ImageInvert", "inputs": {"image": ["1", 0]}},
      "3": {"class_type": "ImageBatch", "inputs": {"image1": ["1", 0], "image2": ["2", 0]}},
      "4": {"class_type": "SaveAnimatedPNG", "inputs": {"images": ["3", 0], "filename_prefix": "a", "fps": 6, "compress_level": 4}},
      "5": {"class_type": "SaveAnimatedWEBP", "inputs": {"images": ["3", 0], "filename_prefix": "a", "fps": 25,
            "lossless": true, "quality": 80, "method": "default"}}})",
      parse(R"({"extra_pnginfo": {"workflow": {"x": 1}}})"));
  ASSERT_EQ(result.end, JobResult::End::kSuccess) << bench.events.lines.back();
  const Value& png = result.outputs.at("4");
  EXPECT_EQ(png.at("animated"), Value(Value::List{Value(true)}));
  const std::string file =
      read_file(bench.places.output + "/" + png.at("images").as_list()[0].at("filename").as_string());
  image::Decoded first = image::decode(file);
  EXPECT_EQ((std::vector<uint8_t>(first.picture.samples.begin(), first.picture.samples.begin() + 3)),
            (std::vector<uint8_t>{0x12, 0x34, 0x56}));
  EXPECT_NE(file.find(std::string("workflow\0{\"x\": 1}", 17)), std::string::npos);
  const std::string webp = read_file(bench.places.output + "/" +
                                     result.outputs.at("5").at("images").as_list()[0].at("filename").as_string());
  EXPECT_EQ(webp.substr(8, 8), "WEBPVP8X");
  EXPECT_NE(webp.find("prompt:{\"1\": {\"class_type\": \"EmptyImage\""), std::string::npos);
}

TEST(NodeBatches, AreSortedIntoOthers) {
  Bench bench(native_registry());
  JobResult result = bench.run(
      R"({"1": {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 5, "color": 1}},
      "2": {"class_type": "RebatchImages", "inputs": {"images": ["1", 0], "batch_size": 2}},
      "3": {"class_type": "SaveImage", "inputs": {"images": ["2", 0], "filename_prefix": "i"}},
      "4": {"class_type": "EmptyLatentImage", "inputs": {"width": 16, "height": 16, "batch_size": 5}},
      "5": {"class_type": "RebatchLatents", "inputs": {"latents": ["4", 0], "batch_size": 3}},
      "6": {"class_type": "SaveLatent", "inputs": {"samples": ["5", 0], "filename_prefix": "l"}}})");
  ASSERT_EQ(result.end, JobResult::End::kSuccess) << bench.events.lines.back();
  EXPECT_EQ(result.outputs.at("3").at("images").size(), 5u);
  ASSERT_EQ(result.outputs.at("6").at("latents").size(), 2u) << "three and two";
  EXPECT_EQ(read_file(bench.places.output + "/l_00001_.latent").size() -
                read_file(bench.places.output + "/l_00002_.latent").size(),
            4u * 4 * 4);
}

Tensor quantized_by(Bench& bench, const Tensor& image, int64_t colors, std::string_view dither) {
  Quiet watch;
  NodeCall::About about{.node_id = "1"};
  NodeCall::Inputs inputs;
  inputs.by_name = {
      {"image", {image_value(image)}}, {"colors", {NodeValue(Value(colors))}}, {"dither", {NodeValue(Value(dither))}}};
  const NodeType* type = bench.registry.find("ImageQuantize");
  NodeCall call(*type, std::move(inputs), about, bench.services, watch);
  return type->run(call).outputs.at(0).at(0).as<Tensor>();
}

double mean_of(const Tensor& image) {
  double sum = 0;
  for (int64_t i = 0; i < image.numel(); ++i) sum += image.data<const float>()[i];
  return sum / static_cast<double>(image.numel());
}

TEST(ImageQuantize, KeepsFewColoursAndTheirMean) {
  Bench bench(native_registry());
  Tensor ramp = make_tensor(bench.memory, {1, 16, 64, 3});
  for (int64_t i = 0; i < ramp.numel(); ++i) ramp.data<float>()[i] = static_cast<float>(i / 3 % 64) * 4 / 255.0f;
  for (const char* dither : {"none", "floyd-steinberg", "bayer-2", "bayer-4", "bayer-8", "bayer-16"}) {
    Tensor few = quantized_by(bench, ramp, 4, dither);
    std::set<float> greys;
    for (int64_t i = 0; i < few.numel(); ++i) greys.insert(few.data<const float>()[i]);
    EXPECT_EQ(greys.size(), 4u) << dither;
    EXPECT_NEAR(mean_of(few), mean_of(ramp), 0.02) << dither;
  }
  Tensor same = quantized_by(bench, ramp, 64, "none");
  for (int64_t i = 0; i < same.numel(); ++i) ASSERT_EQ(same.data<const float>()[i], ramp.data<const float>()[i]);
  // In a column of one grey dithering mixes two of the palette, and plain mapping gives one.
  auto greys_in_column = [&](const Tensor& image) {
    std::set<float> greys;
    for (int64_t y = 0; y < 16; ++y) greys.insert(image.data<const float>()[(y * 64 + 15) * 3]);
    return greys.size();
  };
  EXPECT_EQ(greys_in_column(quantized_by(bench, ramp, 4, "none")), 1u);
  EXPECT_EQ(greys_in_column(quantized_by(bench, ramp, 4, "floyd-steinberg")), 2u);
  EXPECT_EQ(greys_in_column(quantized_by(bench, ramp, 4, "bayer-4")), 2u);
  EXPECT_THROW(quantized_by(bench, ramp, 4, "bayer-3"), Error);
}

TEST(NodeFiles, PicturesForTheSocketComeAsStepsAndAreNeverCached) {
  Bench bench(native_registry());
  const char* prompt =
      R"({"1": {"class_type": "EmptyImage", "inputs": {"width": 4, "height": 4, "batch_size": 2, "color": 0}},
      "2": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["1", 0]}}})";
  for (int i = 0; i < 2; ++i) {
    bench.run(prompt);
    EXPECT_EQ(std::count(bench.events.lines.begin(), bench.events.lines.end(), "step 2 1/2 image/png"), 1);
  }
}

}  // namespace
}  // namespace hearth::workflow
