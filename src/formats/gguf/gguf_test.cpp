// GGUF reader: what a well-formed file says comes out; every way of lying is refused with an Error that names it.
#include "formats/gguf/gguf.h"

#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>

#include <gtest/gtest.h>

namespace hearth::gguf {
namespace {

enum Kind : uint32_t { kU8 = 0, kU32 = 4, kF32 = 6, kBoolean = 7, kText = 8, kArrayOf = 9, kU64 = 10 };

// Writes GGUF bytes field by field, wrong ones too.
struct Writer {
  std::string bytes;

  template <class T>
  Writer& put(T value) {
    bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
    return *this;
  }
  Writer& text(std::string_view value) {
    put<uint64_t>(value.size());
    bytes += value;
    return *this;
  }
  Writer& head(uint64_t tensors, uint64_t metadata, uint32_t version = 3) {
    bytes += "GGUF";
    return put(version).put(tensors).put(metadata);
  }
  Writer& key(std::string_view name, uint32_t kind) { return text(name).put(kind); }
  Writer& tensor(std::string_view name, std::vector<uint64_t> dimensions, uint32_t type, uint64_t offset) {
    text(name).put(static_cast<uint32_t>(dimensions.size()));
    for (uint64_t extent : dimensions) put(extent);
    return put(type).put(offset);
  }
  /// Pads to the alignment and appends the data.
  std::string finish(size_t data_bytes, size_t alignment = 32) {
    bytes.resize((bytes.size() + alignment - 1) / alignment * alignment);
    bytes.append(data_bytes, '\0');
    return bytes;
  }
};

std::string well_formed() {
  Writer out;
  out.head(2, 5);
  out.key("general.architecture", kText).text("tiny");
  out.key("tiny.layers", kU32).put<uint32_t>(7);
  out.key("tiny.big", kU64).put<uint64_t>(UINT64_MAX);
  out.key("tiny.flags", kArrayOf).put<uint32_t>(kBoolean).put<uint64_t>(2).put<uint8_t>(1).put<uint8_t>(0);
  out.key("tiny.nested", kArrayOf).put<uint32_t>(kArrayOf).put<uint64_t>(1);
  out.put<uint32_t>(kF32).put<uint64_t>(1).put(0.5f);
  out.tensor("w", {64, 3}, 8, 0);  // q8_0, 3 rows of 2 * 34 bytes
  out.tensor("b", {5}, 0, 224);    // f32
  return out.finish(224 + 20);
}

File parse_whole(const std::string& bytes) { return parse(bytes, static_cast<int64_t>(bytes.size()), "test.gguf"); }

/// The message of the refusal; empty when there was none.
std::string refusal(const std::string& bytes, Code code = Code::kCorruptFile) {
  try {
    parse_whole(bytes);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), code) << error.message();
    EXPECT_NE(error.message().find("test.gguf"), std::string::npos);
    return error.message();
  }
  return "";
}

#define EXPECT_REFUSED(bytes, part) EXPECT_NE(refusal(bytes).find(part), std::string::npos) << refusal(bytes)

TEST(Gguf, ReadsMetadataInOrderAndTensorsWithReversedShapes) {
  File file = parse_whole(well_formed());
  EXPECT_EQ(file.metadata.as_object()[0].first, "general.architecture");
  EXPECT_EQ(file.metadata.at("general.architecture").as_string(), "tiny");
  EXPECT_EQ(file.metadata.at("tiny.layers").as_int(), 7);
  EXPECT_EQ(file.metadata.at("tiny.big").as_uint(), UINT64_MAX);
  EXPECT_EQ(file.metadata.at("tiny.flags").as_list(), (Value::List{Value(true), Value(false)}));
  EXPECT_EQ(file.metadata.at("tiny.nested").as_list()[0].as_list()[0].as_double(), 0.5);
  ASSERT_EQ(file.tensors.size(), 2u);
  const TensorInfo* w = file.find("w");
  ASSERT_NE(w, nullptr);
  EXPECT_EQ(w->type, DType::kQ8_0);
  EXPECT_EQ(w->shape, (std::vector<int64_t>{3, 64}));
  EXPECT_EQ(w->elements(), 192);
  EXPECT_EQ(w->bytes, 204);
  EXPECT_EQ(w->offset % 32, 0);
  EXPECT_EQ(file.find("b")->offset, w->offset + 224);
  EXPECT_EQ(file.find("absent"), nullptr);
}

TEST(Gguf, HeaderAloneIsEnough) {
  std::string bytes = well_formed();
  File file = parse(std::string_view(bytes).substr(0, bytes.size() - 244), static_cast<int64_t>(bytes.size()), "x");
  EXPECT_EQ(file.tensors.size(), 2u);
}

TEST(Gguf, EveryTruncationIsAnError) {
  std::string bytes = well_formed();
  for (size_t length = 0; length < bytes.size(); ++length) EXPECT_NE(refusal(bytes.substr(0, length)), "") << length;
}

TEST(Gguf, FlippedBitsNeverCrash) {
  const std::string bytes = well_formed();
  int refused = 0;
  for (size_t bit = 0; bit < (bytes.size() - 244) * 8; ++bit) {
    std::string flipped = bytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << bit % 8);
    try {
      parse_whole(flipped);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(Gguf, RandomDamageNeverCrashes) {
  const std::string bytes = well_formed();
  std::mt19937 random(1);
  int refused = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string damaged = bytes;
    for (uint32_t i = 0; i <= random() % 4; ++i) {
      constexpr char kNasty[] = {'\0', '\x01', '\x7f', '\x80', '\xff', '\x20'};
      damaged[random() % (damaged.size() - 244)] = kNasty[random() % sizeof(kNasty)];
    }
    try {
      parse_whole(damaged);
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 5000);
}

TEST(Gguf, VersionsAndByteOrder) {
  EXPECT_EQ(refusal(Writer().head(0, 0, 2).finish(0)), "");
  EXPECT_NE(refusal(Writer().head(0, 0, 1).finish(0), Code::kUnsupported).find("version 1"), std::string::npos);
  EXPECT_NE(refusal(Writer().head(0, 0, 0x03000000).finish(0), Code::kUnsupported).find("big-endian"),
            std::string::npos);
  EXPECT_REFUSED("GGML" + Writer().head(0, 0).bytes.substr(4), "magic");
}

TEST(Gguf, CountsAndLengthsAreCheckedBeforeAnythingIsAllocated) {
  EXPECT_REFUSED(Writer().head(UINT64_MAX, 0).finish(64), "tensor count");
  EXPECT_REFUSED(Writer().head(0, uint64_t{1} << 60).finish(64), "metadata count");
  EXPECT_REFUSED(Writer().head(0, 1).put(UINT64_MAX).finish(64), "metadata key");
  EXPECT_REFUSED(Writer().head(0, 1).key("k", kText).put<uint64_t>(1000).finish(64), "k at byte");
  Writer list;
  list.head(0, 1).key("list", kArrayOf).put<uint32_t>(kU64).put(UINT64_MAX / 8 + 1);
  EXPECT_REFUSED(list.finish(64), "list");
}

TEST(Gguf, ErrorsNameTheByteWhereTheFieldBegins) {
  EXPECT_REFUSED("GGML" + Writer().head(0, 0).bytes.substr(4), "magic at byte 0:");
  EXPECT_REFUSED(Writer().head(UINT64_MAX, 0).finish(64), "tensor count at byte 8:");
  EXPECT_REFUSED(Writer().head(0, uint64_t{1} << 60).finish(64), "metadata count at byte 16:");
  EXPECT_REFUSED(Writer().head(0, 1).put(UINT64_MAX).finish(64), "metadata key at byte 24:");
  EXPECT_REFUSED(Writer().head(0, 1).key("k", kText).put<uint64_t>(1000).finish(64), "k at byte 37:");
  EXPECT_REFUSED(Writer().head(0, 1).key("k", 13).finish(64), "k at byte 33:");
  EXPECT_REFUSED(Writer().head(0, 1).key("k", kBoolean).put<uint8_t>(2).finish(64), "k at byte 37:");
  EXPECT_REFUSED(Writer().head(1, 0).tensor("t", {UINT64_MAX}, 0, 0).finish(64), "tensor 't' at byte 37:");
  EXPECT_REFUSED(Writer().head(0, 0).bytes.substr(0, 6), "version at byte 4:");
}

TEST(Gguf, ManyMetadataValuesAreRefusedByCount) {
  auto count = static_cast<size_t>(kMaxMetadataItems);
  Writer out;
  out.head(0, 1).key("list", kArrayOf).put<uint32_t>(kU8).put<uint64_t>(count);
  EXPECT_REFUSED(out.finish(count), "metadata values");
}

TEST(Gguf, NestingIsBounded) {
  Writer deep;
  deep.head(0, 1).key("deep", kArrayOf);
  for (int i = 0; i < 100000; ++i) deep.put<uint32_t>(kArrayOf).put<uint64_t>(1);
  EXPECT_REFUSED(deep.finish(64), "nested deeper");
}

TEST(Gguf, MetadataValuesAreChecked) {
  EXPECT_REFUSED(Writer().head(0, 1).key("odd", 13).finish(64), "value type 13");
  EXPECT_REFUSED(Writer().head(0, 1).key("odd", kArrayOf).put<uint32_t>(99).put<uint64_t>(0).finish(64), "type 99");
  EXPECT_REFUSED(Writer().head(0, 1).key("flag", kBoolean).put<uint8_t>(2).finish(64), "boolean");
  Writer flags;
  flags.head(0, 1).key("flags", kArrayOf).put<uint32_t>(kBoolean).put<uint64_t>(2).put<uint8_t>(1).put<uint8_t>(3);
  EXPECT_REFUSED(flags.finish(64), "got 3 for a boolean");
  Writer texts;
  texts.head(0, 1).key("texts", kArrayOf).put<uint32_t>(kText).put<uint64_t>(2).text("whole").put<uint64_t>(1000);
  EXPECT_REFUSED(texts.finish(64), "texts at byte 66: needs 1000 bytes");
  Writer twice;
  twice.head(0, 2).key("k", kU8).put<uint8_t>(1).key("k", kU8).put<uint8_t>(2);
  EXPECT_REFUSED(twice.finish(64), "'k' occurs twice");
}

TEST(Gguf, AlignmentIsAPowerOfTwo) {
  for (uint32_t alignment : {0u, 3u, 48u, 1u << 31}) {
    Writer out;
    out.head(0, 1).key("general.alignment", kU32).put(alignment);
    EXPECT_REFUSED(out.finish(64), "general.alignment");
  }
  Writer text;
  text.head(0, 1).key("general.alignment", kText).text("32");
  EXPECT_REFUSED(text.finish(64), "no integer");
  Writer wide;
  wide.head(1, 1).key("general.alignment", kU32).put<uint32_t>(128).tensor("t", {4}, 0, 0);
  EXPECT_EQ(parse_whole(wide.finish(16, 128)).tensors[0].offset, 128);
}

TEST(Gguf, TensorsAreChecked) {
  auto one = [](std::vector<uint64_t> dimensions, uint32_t type, uint64_t offset) {
    return Writer().head(1, 0).tensor("t", std::move(dimensions), type, offset).finish(256);
  };
  EXPECT_EQ(refusal(one({64}, 0, 0)), "");
  EXPECT_REFUSED(one({65}, 0, 0), "do not fit");
  EXPECT_REFUSED(one({64}, 0, 32), "do not fit");
  EXPECT_REFUSED(one({4}, 0, 8), "alignment");
  EXPECT_REFUSED(one({33}, 8, 0), "multiples of 32");
  EXPECT_REFUSED(one({uint64_t{1} << 40, uint64_t{1} << 40}, 0, 0), "below 2^63");
  EXPECT_REFUSED(one({uint64_t{1} << 40, uint64_t{1} << 40, 0}, 0, 0), "below 2^63");
  EXPECT_REFUSED(one({UINT64_MAX}, 0, 0), "dimension 0");
  EXPECT_REFUSED(one({1, 1, 1, 1, 1}, 0, 0), "dimensions");
  EXPECT_REFUSED(one({64}, 0, INT64_MAX & ~31), "do not fit");
  EXPECT_REFUSED(one({64}, 0, UINT64_MAX), "offset");
  EXPECT_NE(refusal(one({64}, 31, 0), Code::kUnsupported).find("type 31"), std::string::npos);
}

TEST(Gguf, TensorsMustDifferInNameAndPlace) {
  Writer names;
  names.head(2, 0).tensor("t", {8}, 0, 0).tensor("t", {8}, 0, 32);
  EXPECT_REFUSED(names.finish(64), "occurs twice");
  Writer places;
  places.head(2, 0).tensor("a", {16}, 0, 0).tensor("b", {8}, 0, 32);
  EXPECT_REFUSED(places.finish(64), "inside 'a'");
}

class GgufFiles : public testing::Test {
 protected:
  GgufFiles() { std::filesystem::create_directories(folder_); }
  ~GgufFiles() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return (folder_ / name).string();
  }
  static std::string part(int number, int parts, std::string_view tensor) {
    Writer out;
    out.head(1, 2).key("split.no", kU32).put<uint32_t>(number).key("split.count", kU32).put<uint32_t>(parts);
    return out.tensor(tensor, {8}, 0, 0).finish(32);
  }
  std::filesystem::path folder_ =
      std::filesystem::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
};

TEST_F(GgufFiles, AFileOnDiskReadsLikeOneInMemory) {
  std::string path = write("one.gguf", well_formed());
  File file = open(path);
  EXPECT_EQ(file.paths, std::vector{path});
  EXPECT_EQ(file.metadata, parse_whole(well_formed()).metadata);
  EXPECT_EQ(file.tensors[1].offset, parse_whole(well_formed()).tensors[1].offset);
}

TEST_F(GgufFiles, AStringLongerThanOneReadIsWhole) {
  std::string text(9 << 20, 'x');
  text.back() = 'y';
  Writer out;
  out.head(0, 2).key("long", kText).text(text).key("after", kU8).put<uint8_t>(9);
  File file = open(write("long.gguf", out.finish(0)));
  EXPECT_EQ(file.metadata.at("long").as_string(), text);
  EXPECT_EQ(file.metadata.at("after").as_int(), 9);
}

TEST_F(GgufFiles, ListsLongerThanOneReadAreWhole) {
  constexpr int kCount = 200'000;
  Writer out;
  out.head(0, 3);
  out.key("texts", kArrayOf).put<uint32_t>(kText).put<uint64_t>(kCount);
  for (int i = 0; i < kCount; ++i) out.text(std::to_string(i));
  out.key("numbers", kArrayOf).put<uint32_t>(kU32).put<uint64_t>(kCount);
  for (uint32_t i = 0; i < kCount; ++i) out.put(i * 3);
  out.key("after", kU8).put<uint8_t>(9);
  std::string bytes = out.finish(0);
  File file = open(write("lists.gguf", bytes));
  const PackedList* texts = file.metadata.at("texts").packed();
  const PackedList* numbers = file.metadata.at("numbers").packed();
  ASSERT_TRUE(texts && numbers);
  ASSERT_EQ(texts->size(), static_cast<size_t>(kCount));
  for (int i = 0; i < kCount; ++i) {
    ASSERT_EQ(texts->text(static_cast<size_t>(i)), std::to_string(i));
    ASSERT_EQ((*numbers)[static_cast<size_t>(i)].as_int(), i * 3);
  }
  EXPECT_EQ(file.metadata.at("after").as_int(), 9);
  EXPECT_EQ(file.metadata, parse_whole(bytes).metadata);
}

TEST_F(GgufFiles, AHugeStringInAHugeFileIsNotRead) {
  Writer out;
  out.head(0, 1).key("long", kText).put<uint64_t>(uint64_t{1} << 40);
  std::string path = write("huge.gguf", out.bytes);
  std::filesystem::resize_file(path, uintmax_t{1} << 41);  // sparse
  try {
    open(path);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kCorruptFile) << error.message();
  }
}

TEST_F(GgufFiles, EmptyAndMissingFiles) {
  EXPECT_THROW(open(write("empty.gguf", "")), Error);
  EXPECT_THROW(open(folder_.string()), Error);
  try {
    open((folder_ / "absent.gguf").string());
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kNotFound);
  }
}

TEST_F(GgufFiles, PartsAreJoinedAndCompared) {
  std::string first = write("m-00001-of-00002.gguf", part(0, 2, "a"));
  std::string second = write("m-00002-of-00002.gguf", part(1, 2, "b"));
  File file = open(first);
  EXPECT_EQ(file.paths, (std::vector{first, second}));
  EXPECT_EQ(file.find("b")->file, 1);
  EXPECT_THROW(open(second), Error);
  write("m-00002-of-00002.gguf", part(1, 2, "a"));
  EXPECT_THROW(open(first), Error);  // the same tensor twice
  write("m-00002-of-00002.gguf", part(1, 3, "b"));
  EXPECT_THROW(open(first), Error);  // of another set
  EXPECT_THROW(open(write("renamed.gguf", part(0, 2, "a"))), Error);
}

}  // namespace
}  // namespace hearth::gguf
