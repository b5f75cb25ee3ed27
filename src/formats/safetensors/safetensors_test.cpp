// safetensors reader: the header is believed only as far as the file's size bears it out.
#include "formats/safetensors/safetensors.h"

#include <cstring>
#include <random>
#include <tuple>

#include <fmt/format.h>
#include <gtest/gtest.h>

namespace hearth::safetensors {
namespace {

std::string file_of(const std::string& header, size_t data_bytes) {
  uint64_t length = header.size();
  std::string out(reinterpret_cast<const char*>(&length), sizeof(length));
  return out + header + std::string(data_bytes, '\0');
}

const std::string kHeader =
    R"({"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2,3],"data_offsets":[8,20]},)"
    R"("a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})";

File parse_whole(const std::string& bytes) { return parse(bytes, static_cast<int64_t>(bytes.size()), "test.st"); }

std::string refusal(const std::string& bytes, Code code = Code::kCorruptFile) {
  try {
    parse_whole(bytes);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.message();
    EXPECT_NE(error.message().find("test.st"), std::string::npos);
    return error.message();
  }
  return "";
}

#define EXPECT_REFUSED(bytes, part) EXPECT_NE(refusal(bytes).find(part), std::string::npos) << refusal(bytes)

TEST(Safetensors, ReadsTensorsInTheOrderOfTheirBytes) {
  File file = parse_whole(file_of(kHeader, 20));
  ASSERT_EQ(file.tensors.size(), 2u);
  EXPECT_EQ(file.tensors[0].name, "a");
  EXPECT_EQ(file.tensors[1].shape, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(file.tensors[1].type, DType::kF16);
  EXPECT_EQ(file.tensors[1].offset, static_cast<int64_t>(8 + kHeader.size() + 8));
  EXPECT_EQ(file.tensors[1].bytes, 12);
  EXPECT_EQ(file.metadata.at("format").as_string(), "pt");
  EXPECT_EQ(file.find("b"), &file.tensors[1]);
}

TEST(Safetensors, EveryTruncationIsAnError) {
  std::string bytes = file_of(kHeader, 20);
  for (size_t length = 0; length < bytes.size(); ++length) EXPECT_NE(refusal(bytes.substr(0, length)), "") << length;
  EXPECT_REFUSED(bytes + "x", "tensors end at byte");
}

TEST(Safetensors, DamageNeverCrashes) {
  const std::string bytes = file_of(kHeader, 20);
  int refused = 0;
  for (size_t bit = 0; bit < (bytes.size() - 20) * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    try {
      parse_whole(flipped);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 500);
}

TEST(Safetensors, HeaderLengthIsBounded) {
  for (uint64_t length : {uint64_t{0}, uint64_t{1}, uint64_t{1000}, UINT64_MAX}) {
    std::string bytes = file_of(kHeader, 20);
    std::memcpy(bytes.data(), &length, sizeof(length));
    EXPECT_REFUSED(bytes, "header length");
  }
  std::string huge = file_of(kHeader, 20);
  uint64_t length = uint64_t{1} << 40;
  std::memcpy(huge.data(), &length, sizeof(length));
  EXPECT_THROW(parse(huge, int64_t{1} << 50, "big"), Error);  // within the file, beyond what a header may be
}

// What a checkpoint of four-bit codes with block scales holds, and every other integer.
TEST(Safetensors, ScalesAndUnsignedIntegersHaveTheirSizes) {
  const std::tuple<const char*, DType, int> kTypes[] = {{"F8_E8M0", DType::kF8E8M0, 1}, {"U8", DType::kU8, 1},
                                                        {"U16", DType::kU16, 2},        {"U32", DType::kU32, 4},
                                                        {"U64", DType::kU64, 8}};
  for (const auto& [spelling, type, bytes] : kTypes) {
    const auto entry = [&](int length) {
      return fmt::format(R"({{"a":{{"dtype":"{}","shape":[2,3],"data_offsets":[0,{}]}}}})", spelling, length);
    };
    const std::string whole = file_of(entry(6 * bytes), static_cast<size_t>(6 * bytes));
    const File file = parse(whole, static_cast<int64_t>(whole.size()), "model");
    ASSERT_EQ(file.tensors.size(), 1u) << spelling;
    EXPECT_EQ(file.tensors[0].type, type) << spelling;
    EXPECT_EQ(file.tensors[0].bytes, 6 * bytes) << spelling;
    EXPECT_REFUSED(file_of(entry(6 * bytes + 1), static_cast<size_t>(6 * bytes + 1)), "takes");
  }
}

TEST(Safetensors, EntriesAreChecked) {
  auto one = [](const std::string& entry) { return file_of("{\"t\":" + entry + "}", 8); };
  EXPECT_EQ(refusal(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})")), "");
  EXPECT_REFUSED(one(R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})"), "takes 12");
  EXPECT_REFUSED(one(R"({"dtype":"F32","shape":[3],"data_offsets":[0,12]})"), "end up to 8");
  EXPECT_REFUSED(one(R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})"), "begin, end");
  EXPECT_REFUSED(one(R"({"dtype":"F32","shape":[2],"data_offsets":[0]})"), "begin, end");
  EXPECT_REFUSED(one(R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})"), "non-negative");
  EXPECT_REFUSED(one(R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})"), "non-negative");
  EXPECT_REFUSED(one(R"({"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]})"), "overflows");
  EXPECT_REFUSED(one(R"({"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]})"), "below 2^63");
  EXPECT_REFUSED(one(R"({"dtype":"F32","shape":[2]})"), "data_offsets");
  EXPECT_REFUSED(one(R"({"shape":[2],"data_offsets":[0,8]})"), "dtype");
  EXPECT_REFUSED(one("7"), "dtype");
  EXPECT_NE(refusal(one(R"({"dtype":"Q3","shape":[2],"data_offsets":[0,8]})"), Code::kUnsupported).find("Q3"),
            std::string::npos);
}

TEST(Safetensors, RangesTileTheData) {
  auto two = [](const std::string& a, const std::string& b) {
    return file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)" + a +
                       R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}",
                   10);
  };
  EXPECT_REFUSED(two("[0,4]", "[2,6]"), "starts at byte");
  EXPECT_REFUSED(two("[0,4]", "[6,10]"), "starts at byte");
  EXPECT_REFUSED(two("[0,4]", "[4,8]"), "tensors end");
  EXPECT_REFUSED(two("[0,4]", "[0,4]"), "starts at byte");
}

TEST(Safetensors, OddHeaders) {
  EXPECT_REFUSED(file_of("[]", 0), "wanted an object");
  EXPECT_REFUSED(file_of("{\"a\":", 0), "header: invalid JSON");
  EXPECT_REFUSED(file_of(R"({"__metadata__":{"n":1}})", 0), "wanted a string");
  EXPECT_REFUSED(file_of(R"({"__metadata__":[]})", 0), "wanted an object");
  EXPECT_EQ(refusal(file_of("{}      ", 0)), "");
}

}  // namespace
}  // namespace hearth::safetensors
