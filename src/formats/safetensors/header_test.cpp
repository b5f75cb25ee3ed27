// Streamed headers and indexes: what is kept, what is passed over, what is refused at once.
#include "formats/safetensors/header.h"

#include <string>

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace hearth::safetensors {
namespace {

TensorFile header_of(const std::string& text, int64_t data_bytes = 8) {
  TensorFile out;
  out.paths = {"test.st"};
  read_header(text, 100, 100 + data_bytes, out);
  return out;
}

template <class Read>
std::string refusal(Read read) {
  try {
    read();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCorruptFile);
    return error.message();
  }
  return "";
}

std::string header_refusal(const std::string& text) {
  return refusal([&] { header_of(text); });
}
std::string index_refusal(const std::string& text) {
  return refusal([&] { read_index(text, "test.json"); });
}

const std::string kEntry = R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})";

TEST(SafetensorsHeader, PassesOverFieldsItDoesNotKnow) {
  TensorFile file = header_of(
      R"({"t\u0041\"":{"more":{"shape":[9,{"dtype":1}]},"dtype":"F32","note":null,"shape":[2],"x":[[1]],)"
      R"("data_offsets":[0,8],"last":"z"},"__metadata__":{"a":"1","b":"2","a":"3"}})");
  ASSERT_EQ(file.tensors.size(), 1u);
  EXPECT_EQ(file.tensors[0].name, "tA\"");
  EXPECT_EQ(file.tensors[0].shape, std::vector<int64_t>{2});
  EXPECT_EQ(file.tensors[0].offset, 100);
  EXPECT_EQ(file.metadata, Value::object({{"a", "3"}, {"b", "2"}}));
}

TEST(SafetensorsHeader, EveryEntryIsWhole) {
  // What one entry gave must not complete the next.
  std::string text = "{\"a\":" + kEntry + R"(,"b":{"dtype":"F32","shape":[2]}})";
  EXPECT_EQ(header_refusal(text), "test.st: tensor 'b': 'data_offsets' is missing");
  text = "{\"a\":" + kEntry + R"(,"b":{"dtype":"F32","data_offsets":[0,8]}})";
  EXPECT_EQ(header_refusal(text), "test.st: tensor 'b': 'shape' is missing");
  EXPECT_EQ(header_of(R"({"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}})", 4).tensors[0].shape.size(), 0u);
}

TEST(SafetensorsHeader, RefusesFieldsOfTheWrongKind) {
  auto entry = [](const std::string& fields) { return header_refusal("{\"t\":{" + fields + "}}"); };
  EXPECT_EQ(entry(R"("shape":2)"), "test.st: tensor 't': 'shape' is of the wrong kind");
  EXPECT_EQ(entry(R"("shape":{"0":2})"), "test.st: tensor 't': 'shape' is of the wrong kind");
  EXPECT_EQ(entry(R"("dtype":["F32"])"), "test.st: tensor 't': 'dtype' is of the wrong kind");
  EXPECT_EQ(entry(R"("dtype":1)"), "test.st: tensor 't': 'dtype' is of the wrong kind");
  EXPECT_NE(entry(R"("shape":[[2]])").find("got an array"), std::string::npos);
  EXPECT_NE(entry(R"("shape":["2"])").find("got \"2\""), std::string::npos);
  EXPECT_EQ(entry(R"("shape":[1,1,1,1,1,1,1,1,1)"), "test.st: tensor 't': 'shape' has more than 8 items");
  EXPECT_EQ(entry(R"("shape":[1],"shape":[1])"), "test.st: tensor 't': 'shape' occurs twice");
  EXPECT_EQ(entry(R"("dtype":"U8","dtype":"U8")"), "test.st: tensor 't': 'dtype' occurs twice");
  EXPECT_EQ(header_refusal(R"({"__metadata__":{"n":{}}})"), "test.st: __metadata__.n is a object, wanted a string");
}

TEST(SafetensorsHeader, DepthAndNamesAreBounded) {
  EXPECT_NE(header_refusal("{\"t\":{\"x\":" + std::string(100000, '[')).find("nested deeper"), std::string::npos);
  std::string name(kMaxNameBytes + 1, 'n');
  EXPECT_NE(header_refusal("{\"" + name + "\":" + kEntry + "}").find("65536 bytes"), std::string::npos);
  EXPECT_LT(header_refusal("{\"" + name.substr(1) + "\":{}}").size(), 400u);
}

TEST(SafetensorsIndex, GroupsTensorsByFile) {
  Index index = read_index(R"({"other":{"weight_map":{"x":"y"}},"metadata":{"total_size":12,"deep":[1],"by":"me"},)"
                           R"("weight_map":{"c":"2.st","a":"1.st","b":"2.st"}})", "test.json");
  EXPECT_EQ(index.shards, (std::vector<std::string>{"1.st", "2.st"}));
  ASSERT_EQ(index.promises.size(), 3u);
  EXPECT_EQ(index.name(index.promises[0]), "a");
  EXPECT_EQ(index.name(index.promises[1]), "c");
  EXPECT_EQ(index.name(index.promises[2]), "b");
  EXPECT_EQ(index.promises[1].shard, 1u);
  EXPECT_EQ(index.metadata, Value::object({{"total_size", 12}, {"by", "me"}}));
}

TEST(SafetensorsIndex, FileNamesArePlain) {
  for (const char* shard : {R"("../x")", R"("a/b")", R"("")", R"(".x")", R"("a\u0000b")", "7", "null", "{}", "[]"}) {
    std::string text = std::string(R"({"weight_map":{"t":)") + shard + "}}";
    EXPECT_NE(index_refusal(text).find("wanted a plain file name"), std::string::npos) << shard;
  }
  for (const char* text :
       {"{}", "[]", "7", R"({"weight_map":[]})", R"({"weight_map":"x"})", R"([{"weight_map":{}}])"}) {
    EXPECT_NE(index_refusal(text).find("no object 'weight_map'"), std::string::npos) << text;
  }
  EXPECT_NE(index_refusal("{").find("test.json: invalid JSON at byte"), std::string::npos);
}

}  // namespace
}  // namespace hearth::safetensors
