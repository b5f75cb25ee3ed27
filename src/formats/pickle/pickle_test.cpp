// Files that torch wrote (tests/golden/pickle), and pickles that torch would never write.
#include "formats/pickle/pickle.h"

#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/files.h"
#include "formats/input_file.h"
#include "formats/json/json.h"
#include "formats/pickle/testing/pickle_writer.h"
#include "formats/zip/zip_testing.h"

namespace hearth::pickle {
namespace {

using namespace testing;

fs::path goldens() {
  const char* root = std::getenv("HEARTH_SOURCE_DIR");
  return (root ? fs::path(root) : fs::path(__FILE__).parent_path() / "../../..") / "tests/golden/pickle";
}

std::string hex_of(const TensorFile& file, const TensorInfo& tensor) {
  std::string bytes(static_cast<size_t>(tensor.bytes), '\0'), hex;
  InputFile(file.paths[static_cast<size_t>(tensor.file)]).read_at(tensor.offset, bytes);
  for (char c : bytes) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return hex;
}

void expect_tensors(const TensorFile& file, const Value& wanted) {
  EXPECT_EQ(file.tensors.size(), wanted.size());
  for (const auto& [name, facts] : wanted.as_object()) {
    SCOPED_TRACE(name);
    const TensorInfo* tensor = file.find(name);
    ASSERT_NE(tensor, nullptr);
    std::vector<int64_t> shape;
    for (const Value& extent : facts.as_list()[1].as_list()) shape.push_back(extent.as_int());
    EXPECT_EQ(info(tensor->type).name, facts.as_list()[0].as_string());
    EXPECT_EQ(tensor->shape, shape);
    EXPECT_EQ(hex_of(file, *tensor), facts.as_list()[2].as_string());
  }
}

template <class Act>
std::string message_of(Act act, Code code) {
  try {
    act();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.message();
    return error.message();
  }
  return "nothing was thrown";
}

TEST(Pickle, ReadsWhatTorchWrote) {
  Value wanted = json::parse(read_text(goldens() / "wanted.json", 1 << 20).value()).value();
  EXPECT_GE(wanted.size(), 13u);
  for (const auto& [name, tensors] : wanted.as_object()) {
    SCOPED_TRACE(name);
    std::string path = (goldens() / name).string();
    if (tensors.is_object()) {
      expect_tensors(open(path), tensors);
    } else {
      Code code = name == "no_tensor.pt" ? Code::kCorruptFile : Code::kUnsupported;
      std::string message = message_of([&] { open(path); }, code);
      EXPECT_NE(message.find(tensors.as_string()), std::string::npos) << message;
      EXPECT_NE(message.find(path), std::string::npos) << message;
    }
  }
}

TEST(Pickle, NumbersAndTextsBesideTensorsAreMetadata) {
  for (const char* name : {"trainer.ckpt", "trainer_legacy.ckpt"}) {
    TensorFile file = open((goldens() / name).string());
    EXPECT_EQ(file.metadata.at("global_step").as_int(), 470000);
    EXPECT_EQ(file.metadata.at("loss").as_double(), 0.25);
    EXPECT_EQ(file.metadata.at("name").as_string(), "tiny");
  }
}

TEST(Pickle, TiedTensorsShareBytes) {
  TensorFile file = open((goldens() / "views.pth").string());
  EXPECT_EQ(file.find("row")->offset, file.find("whole")->offset + 6 * 4);
}

// A pickle whose storages "0" and "1" have 24 bytes each.
TensorFile parse_made(const std::string& body) {
  auto find = [](std::string_view key) -> Span {
    if (key == "0") return {.offset = 100, .bytes = 24};
    if (key == "1") return {.offset = 200, .bytes = 24};
    throw Error(Code::kCorruptFile, "there is no storage " + std::string(key));
  };
  return parse(protocol() + body + ".", find, "made.pt");
}

std::string one_tensor(const MadeTensor& tensor_) { return dict({text("w"), tensor(tensor_)}); }

void expect_corrupt(const std::string& body, std::string_view words) {
  std::string message = message_of([&] { parse_made(body); }, Code::kCorruptFile);
  EXPECT_NE(message.find(words), std::string::npos) << message;
}

void expect_unsupported(const std::string& body, std::string_view words) {
  std::string message = message_of([&] { parse_made(body); }, Code::kUnsupported);
  EXPECT_NE(message.find(words), std::string::npos) << message;
}

TEST(Pickle, ReadsAMadeOne) {
  TensorFile file = parse_made(one_tensor({storage("1", 6), 2, {2, 2}, {2, 1}}));
  ASSERT_EQ(file.tensors.size(), 1u);
  EXPECT_EQ(file.tensors[0].name, "w");
  EXPECT_EQ(file.tensors[0].offset, 208);
  EXPECT_EQ(file.tensors[0].bytes, 16);
  EXPECT_EQ(file.paths, std::vector<std::string>{"made.pt"});
}

TEST(Pickle, TensorsStayInsideTheirStorage) {
  expect_corrupt(one_tensor({storage("0", 6), 3, {2, 2}, {2, 1}}), "reaches element 6 of a storage of 6");
  expect_corrupt(one_tensor({storage("0", 7), 0, {7}, {1}}), "storage '0' should have 7 elements of 4 bytes");
  expect_corrupt(one_tensor({storage("9", 6), 0, {6}, {1}}), "no storage 9");
  expect_corrupt(one_tensor({storage("0", 6), -1, {6}, {1}}), "offset is -1");
  expect_corrupt(one_tensor({storage("0", 6), 0, {-6}, {1}}), "shape is -6");
  expect_corrupt(one_tensor({storage("0", 6), 0, {6}, {-1}}), "strides is -1");
  expect_corrupt(one_tensor({storage("0", 6), 0, {6, 1}, {1}}), "number of strides");
  expect_corrupt(one_tensor({storage("0", 6), 0, {INT64_MAX, 3}, {INT64_MAX, 1}}), "overflows");
  expect_corrupt(one_tensor({storage("0", INT64_MAX), 0, {1}, {1}}), "storage '0' should have");
  expect_corrupt(one_tensor({storage("0", 6), 0, {1, 1, 1, 1, 1, 1, 1, 1, 1}, {1, 1, 1, 1, 1, 1, 1, 1, 1}}),
                 "9 dimensions");
}

TEST(Pickle, OrdersOtherThanRowsAreRefused) {
  expect_unsupported(one_tensor({storage("0", 6), 0, {3, 2}, {1, 3}}), "stored transposed, sliced or expanded");
  expect_unsupported(one_tensor({storage("0", 6), 0, {3, 2}, {0, 1}}), "strides [0, 1]");
  EXPECT_EQ(parse_made(one_tensor({storage("0", 6), 0, {1, 2}, {77, 1}})).tensors.size(), 1u);
  EXPECT_EQ(parse_made(one_tensor({storage("0", 6), 99, {0, 2}, {2, 1}})).tensors[0].bytes, 0);
}

TEST(Pickle, NothingIsCalledByName) {
  std::string tensor_ = tensor({storage("0", 6), 0, {6}, {1}});
  for (auto [module, name] : std::vector<std::pair<std::string, std::string>>{{"os", "system"},
                                                                              {"posix", "system"},
                                                                              {"builtins", "eval"},
                                                                              {"__builtin__", "exec"},
                                                                              {"subprocess", "Popen"},
                                                                              {"torch", "load"},
                                                                              {"torch.hub", "load"},
                                                                              {"collections", "namedtuple"},
                                                                              {"builtins", "getattr"}}) {
    std::string called = reduce(global(module, name), tuple({text("id")}));
    expect_unsupported(dict({text("w"), tensor_, text("x"), called}), fmt::format("names {}.{}", module, name));
    std::string by_stack = text(module) + text(name) + "\x93";
    expect_unsupported(by_stack, fmt::format("names {}.{}", module, name));
  }
}

TEST(Pickle, NamesBesideTensorsBecomeEmpty) {
  std::string tensor_ = tensor({storage("0", 6), 0, {6}, {1}});
  std::string namespace_ = global("argparse", "Namespace") + ")\x81" + dict({text("a"), integer(1)}) + "b";
  TensorFile file = parse_made(dict({text("w"), tensor_, text("args"), namespace_}));
  EXPECT_EQ(file.tensors.size(), 1u);
  EXPECT_EQ(file.metadata.find("args"), nullptr);
}

TEST(Pickle, EntersWhatHoldsTheModel) {
  std::string tensor_ = tensor({storage("0", 6), 0, {6}, {1}}), other = tensor({storage("1", 6), 0, {6}, {1}});
  TensorFile state = parse_made(dict({text("x"), other, text("state_dict"), dict({text("w"), tensor_})}));
  ASSERT_EQ(state.tensors.size(), 1u);
  EXPECT_EQ(state.tensors[0].name, "w");
  TensorFile wrapped = parse_made(dict({text("params"), dict({text("w"), tensor_})}));
  EXPECT_EQ(wrapped.tensors[0].name, "w");
  TensorFile both = parse_made(dict({text("a"), dict({text("w"), tensor_}), text("b"), dict({integer(7), other})}));
  EXPECT_NE(both.find("a.w"), nullptr);
  EXPECT_NE(both.find("b.7"), nullptr);
  std::string twice = dict({text("w"), tensor_, text("w"), other});
  EXPECT_EQ(parse_made(twice).find("w")->offset, 200);
  expect_corrupt(dict({text("a.w"), tensor_, text("a"), dict({text("w"), other})}), "two tensors are called 'a.w'");
}

TEST(Pickle, AParameterDictIsADictionary) {
  std::string tensor_ = tensor({storage("0", 6), 0, {6}, {1}});
  std::string made = global("torch.nn.modules.container", "ParameterDict") + ")\x81" +
                     dict({text("training"), "\x88", text("_parameters"), dict({text("*"), tensor_})}) + "b";
  TensorFile file = parse_made(dict({text("string_to_param"), made, text("step"), integer(9)}));
  EXPECT_NE(file.find("string_to_param.*"), nullptr);
}

TEST(Pickle, DamagedOnesSayWhere) {
  expect_corrupt("X\x10", "ends too early");
  expect_corrupt("\x8e\xff\xff\xff\xff\xff\xff\xff\xff", "ends too early");
  expect_corrupt("0", "stack is empty");
  expect_corrupt("(0t", "mark is missing");
  expect_corrupt("h\x05", "memo 5 was never stored");
  expect_corrupt(std::string("Nr\x05\x00\x00\x00", 6), "memo 5 is stored before 0");
  expect_corrupt("]" + integer(1) + integer(2) + "s", "what is no dictionary");
  expect_corrupt("}" + integer(1) + "a", "what is no list");
  expect_corrupt("}(" + integer(1) + "u", "a key without a value");
  expect_corrupt(integer(1) + ")R", "what is called is of the wrong kind");
  expect_corrupt(
      "c"
      "collections",
      "a line does not end");
  expect_unsupported("P1\n", "opcode 0x50");
  std::string message = message_of([&] { parse(protocol(6) + "N.", {}, "x"); }, Code::kUnsupported);
  EXPECT_NE(message.find("protocol 6, expected 2 to 5"), std::string::npos) << message;
}

TEST(Pickle, WhatItMakesIsBounded) {
  expect_corrupt(std::string(5'000'000, 'N'), "");
  expect_corrupt(std::string(3'000'000, '('), "marks nest too deep");
  std::string popped;
  for (int i = 0; i < 400'000; ++i) popped += "N0";
  expect_corrupt(popped + popped, "more values than a checkpoint of this size can need");
  // Ten lists, each twice in the next, would be a tensor's 4 million names.
  std::string shared = "](" + tensor({storage("0", 6), 0, {6}, {1}}) + "eq" + std::string(1, '\0');
  for (char i = 0; i < 24; ++i)
    shared += "](h" + std::string(1, i) + "h" + std::string(1, i) + "eq" + static_cast<char>(i + 1);
  std::string message = message_of([&] { parse_made(shared); }, Code::kCorruptFile);
  EXPECT_NE(message, "nothing was thrown");
  expect_corrupt("]q" + std::string(1, '\0') + "h" + std::string(1, '\0') + "a", "nests deeper");
}

TEST(Pickle, ArchivesAreChecked) {
  zip::TestFolder folder;
  std::string pickle = protocol() + one_tensor({storage("0", 6), 0, {6}, {1}}) + ".", floats(24, '\1');
  auto open_made = [&](const std::vector<zip::MadeEntry>& entries) {
    return open(folder.write("made.pt", zip::make_zip(entries)).string());
  };
  TensorFile file =
      open_made({{.name = "m/data.pkl", .body = pickle, .is_deflated = true}, {.name = "m/data/0", .body = floats}});
  EXPECT_EQ(hex_of(file, file.tensors[0]).substr(0, 4), "0101");
  auto refused = [&](Code code, std::string_view words, const std::vector<zip::MadeEntry>& entries) {
    std::string message = message_of([&] { open_made(entries); }, code);
    EXPECT_NE(message.find(words), std::string::npos) << message;
  };
  refused(Code::kCorruptFile, "no storage '0'", {{.name = "m/data.pkl", .body = pickle}});
  refused(Code::kUnsupported, "compressed",
          {{.name = "m/data.pkl", .body = pickle}, {.name = "m/data/0", .body = floats, .is_deflated = true}});
  refused(Code::kUnsupported, "big-endian",
          {{.name = "m/data.pkl", .body = pickle}, {.name = "m/byteorder", .body = "big"}});
  refused(Code::kCorruptFile, "two pickles",
          {{.name = "m/data.pkl", .body = pickle}, {.name = "n/data.pkl", .body = pickle}});
  refused(Code::kUnsupported, "without data.pkl", {{.name = "m/weights", .body = pickle}});
  refused(Code::kCorruptFile, "the file has 20 bytes",
          {{.name = "m/data.pkl", .body = pickle}, {.name = "m/data/0", .body = floats.substr(4)}});
}

TEST(Pickle, OtherFilesAreNamedAsWhatTheyAreNot) {
  zip::TestFolder folder;
  for (std::string body : {std::string(), std::string("hello world"), std::string(100, '\0')}) {
    std::string path = folder.write("x.ckpt", body).string();
    std::string message = message_of([&] { open(path); }, Code::kUnsupported);
    EXPECT_NE(message.find("convert it to safetensors"), std::string::npos) << message;
  }
  std::string path = folder.write("y.pt", protocol() + integer(1) + ".").string();
  EXPECT_NE(message_of([&] { open(path); }, Code::kUnsupported).find("not of torch"), std::string::npos);
}

TEST(Pickle, ATruncatedLegacyFileIsNoticed) {
  zip::TestFolder folder;
  std::string whole = read_text(goldens() / "trainer_legacy.ckpt", 1 << 20).value();
  for (size_t bytes = 0; bytes < whole.size(); bytes += 7) {
    std::string path = folder.write("cut.ckpt", whole.substr(0, bytes)).string();
    EXPECT_THROW(open(path), Error) << bytes;
  }
}

}  // namespace
}  // namespace hearth::pickle
