// A hostile header costs about the memory that it costs its author: what a file packs tightly must not unfold into
// something many times as large. Each case is a file made to cost as much as it can for its size.
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "core/base/error.h"
#include "core/base/units.h"
#include "formats/gguf/gguf.h"
#include "formats/safetensors/safetensors.h"
#include "core/testing/heap_watch.h"

namespace hearth {
namespace {

using testing::HeapWatch;

// Beside what the file itself takes: the read window, the error's text, and containers of bounded size.
constexpr int64_t kAllowance = 1 * MiB;

template <class T>
void put(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

void put_text(std::string& bytes, std::string_view text) {
  put<uint64_t>(bytes, text.size());
  bytes += text;
}

std::string gguf_head(uint64_t tensors, uint64_t metadata) {
  std::string bytes = "GGUF";
  put<uint32_t>(bytes, 3);
  put(bytes, tensors);
  put(bytes, metadata);
  return bytes;
}

std::string gguf_array(uint32_t type, uint64_t count, std::string_view items) {
  std::string bytes = gguf_head(0, 1);
  put_text(bytes, "list");
  put<uint32_t>(bytes, 9);
  put(bytes, type);
  put(bytes, count);
  bytes += items;
  bytes.resize((bytes.size() + 31) / 32 * 32);
  return bytes;
}

std::string repeated(std::string_view piece, size_t times) {
  std::string out;
  out.reserve(piece.size() * times);
  for (size_t i = 0; i < times; ++i) out += piece;
  return out;
}

std::string safetensors_of(const std::string& header) {
  std::string bytes;
  put<uint64_t>(bytes, header.size());
  return bytes + header;
}

class HeaderMemory : public ::testing::Test {
 protected:
  HeaderMemory() { std::filesystem::create_directories(folder_); }
  ~HeaderMemory() override { std::filesystem::remove_all(folder_); }

  /// Peak of the heap while the reader takes the file, whether it is accepted or refused; accepted ones stay alive
  /// until the peak is read.
  template <class Open>
  int64_t peak_of(const std::string& name, const std::string& bytes, Open open) {
    std::string path = (folder_ / name).string();
    std::ofstream(path, std::ios::binary) << bytes;
    HeapWatch heap;
    try {
      TensorFile file = open(path);
      was_accepted_ = true;
      return heap.peak_bytes();
    } catch (const Error& error) {
      was_accepted_ = false;
      message_ = error.message();
      return heap.peak_bytes();
    }
  }
  int64_t gguf_peak(const std::string& bytes) { return peak_of("x.gguf", bytes, gguf::open); }
  int64_t safetensors_peak(const std::string& bytes) { return peak_of("x.safetensors", bytes, safetensors::open); }

  bool was_accepted_ = false;
  std::string message_;
  std::filesystem::path folder_ =
      std::filesystem::path(::testing::TempDir()) / ::testing::UnitTest::GetInstance()->current_test_info()->name();
};

int64_t size_of(const std::string& bytes) { return static_cast<int64_t>(bytes.size()); }

TEST_F(HeaderMemory, GgufArraysOfNumbersStayAsSmallAsInTheFile) {
  constexpr uint64_t kCount = 4'000'000;
  std::string bytes = gguf_array(0, kCount, std::string(kCount, '\7'));
  EXPECT_LE(gguf_peak(bytes), size_of(bytes) + kAllowance);
  EXPECT_TRUE(was_accepted_) << message_;
}

TEST_F(HeaderMemory, GgufArraysOfTextsStayAsSmallAsInTheFile) {
  std::string empty = gguf_array(8, 1'000'000, std::string(8'000'000, '\0'));
  EXPECT_LE(gguf_peak(empty), size_of(empty) + kAllowance);
  EXPECT_TRUE(was_accepted_) << message_;
  std::string sixteen;  // one byte too long for a string without memory of its own
  put_text(sixteen, "0123456789abcdef");
  std::string longer = gguf_array(8, 400'000, repeated(sixteen, 400'000));
  EXPECT_LE(gguf_peak(longer), size_of(longer) + kAllowance);
  EXPECT_TRUE(was_accepted_) << message_;
}

TEST_F(HeaderMemory, GgufArraysOfArraysAreFew) {
  std::string inner;  // an array of no bytes
  put<uint32_t>(inner, 0);
  put<uint64_t>(inner, 0);
  std::string bytes = gguf_array(9, 500'000, repeated(inner, 500'000));
  EXPECT_LE(gguf_peak(bytes), size_of(bytes) + kAllowance);
  EXPECT_FALSE(was_accepted_);
  EXPECT_NE(message_.find("arrays in arrays"), std::string::npos) << message_;
}

TEST_F(HeaderMemory, GgufTextsAreHeldOnce) {
  std::string bytes = gguf_head(0, 1);
  put_text(bytes, "text");
  put<uint32_t>(bytes, 8);
  put_text(bytes, std::string(20 * MiB, 'x'));
  EXPECT_LE(gguf_peak(bytes), size_of(bytes) + kAllowance);
}

TEST_F(HeaderMemory, GgufKeysAreBounded) {
  auto keys = [](int64_t n) {
    std::string bytes = gguf_head(0, static_cast<uint64_t>(n));
    for (int64_t i = 0; i < n; ++i) {
      put_text(bytes, fmt::format("{}", i));
      put<uint32_t>(bytes, 0);
      put<uint8_t>(bytes, 1);
    }
    bytes.resize((bytes.size() + 31) / 32 * 32);
    return bytes;
  };
  std::string many = keys(4000);
  EXPECT_LE(gguf_peak(many), size_of(many) + kAllowance);
  EXPECT_TRUE(was_accepted_) << message_;
  std::string too_many = keys(300'000);
  EXPECT_LE(gguf_peak(too_many), size_of(too_many) + kAllowance);
  EXPECT_NE(message_.find("metadata count"), std::string::npos) << message_;
}

TEST_F(HeaderMemory, GgufTensorTablesAreBounded) {
  auto table = [](int64_t n) {
    std::string bytes = gguf_head(static_cast<uint64_t>(n), 0);
    for (int64_t i = 0; i < n; ++i) {
      put_text(bytes, fmt::format("{}", i));
      put<uint32_t>(bytes, 1);
      put<uint64_t>(bytes, 0);
      put<uint32_t>(bytes, 0);
      put<uint64_t>(bytes, 0);
    }
    bytes.resize((bytes.size() + 31) / 32 * 32);
    return bytes;
  };
  // An entry of 37 bytes becomes a TensorInfo with a shape: 88 + 24 bytes, and 4 of the name index.
  std::string large = table(60'000);
  EXPECT_LE(gguf_peak(large), 4 * size_of(large));
  EXPECT_TRUE(was_accepted_) << message_;
  std::string too_large = table(600'000);
  EXPECT_LE(gguf_peak(too_large), kAllowance);
  EXPECT_NE(message_.find("tensor count"), std::string::npos) << message_;
}

TEST_F(HeaderMemory, SafetensorsListsThatAreNoShapesEndTheReadingAtOnce) {
  std::string zeros = "[0" + repeated(",0", 5'000'000) + "]";
  for (const char* field : {"shape", "data_offsets"}) {
    std::string bytes = safetensors_of(fmt::format(R"({{"t":{{"dtype":"U8","{}":{}}}}})", field, zeros));
    EXPECT_LE(safetensors_peak(bytes), size_of(bytes) + kAllowance) << field;
    EXPECT_FALSE(was_accepted_);
    EXPECT_NE(message_.find(field), std::string::npos) << message_;
  }
}

TEST_F(HeaderMemory, SafetensorsFieldsNobodyKnowsAreNotKept) {
  std::string zeros = "[0" + repeated(",0", 5'000'000) + "]";
  std::string bytes =
      safetensors_of(R"({"t":{"dtype":"U8","shape":[0],"data_offsets":[0,0],"more":{"deep":)" + zeros + "}}}");
  EXPECT_LE(safetensors_peak(bytes), size_of(bytes) + kAllowance);
  EXPECT_TRUE(was_accepted_) << message_;
}

TEST_F(HeaderMemory, SafetensorsMetadataIsBounded) {
  std::string members;
  for (int i = 0; i < 200'000; ++i) members += fmt::format(R"("{}":"",)", i);
  std::string bytes = safetensors_of("{\"__metadata__\":{" + members + "\"z\":\"\"}}");
  EXPECT_LE(safetensors_peak(bytes), size_of(bytes) + kAllowance);
  EXPECT_NE(message_.find("__metadata__"), std::string::npos) << message_;
}

TEST_F(HeaderMemory, SafetensorsTensorsCostLittleMoreThanTheirEntries) {
  std::string header = "{";
  for (int i = 0; i < 100'000; ++i) {
    header += fmt::format(R"("{}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}},)", i);
  }
  header.back() = '}';
  // Header text, and for an entry of 53 bytes a TensorInfo with its shape and its places in two orders.
  std::string bytes = safetensors_of(header);
  EXPECT_LE(safetensors_peak(bytes), 4 * size_of(bytes));
  EXPECT_TRUE(was_accepted_) << message_;
}

TEST_F(HeaderMemory, SafetensorsTokensWithoutEndAreRefused) {
  // The JSON reader would hold such a token several times over.
  std::string spaces(16 * MiB, ' '), text(16 * MiB, 'x'), digits(16 * MiB, '1');
  for (const std::string& header :
       {"{" + spaces + "}", "{\"" + text + "\":{}}", "{\"t\":{\"dtype\":\"U8\",\"shape\":[" + digits + "]}}"}) {
    std::string bytes = safetensors_of(header);
    EXPECT_LE(safetensors_peak(bytes), size_of(bytes) + kAllowance);
    EXPECT_FALSE(was_accepted_);
    EXPECT_NE(message_.find("at byte"), std::string::npos) << message_;
  }
}

TEST_F(HeaderMemory, SafetensorsIndexesKeepOnlyTheMap) {
  auto index_peak = [&](const std::string& text) { return peak_of("x.json", text, safetensors::open); };
  std::string zeros = R"({"weight_map":{},"other":[0)" + repeated(",0", 5'000'000) + "]}";
  EXPECT_LE(index_peak(zeros), size_of(zeros) + kAllowance);
  std::string names = R"({"weight_map":{)";
  for (int i = 0; i < 300'000; ++i) names += fmt::format(R"("{}":"a",)", i);
  names.back() = '}';
  names += '}';
  EXPECT_LE(index_peak(names), 3 * size_of(names) + kAllowance);  // the text, and 12 bytes and the name for each
  EXPECT_FALSE(was_accepted_);                                    // there is no file a
  std::string shards = R"({"weight_map":{)";
  for (int i = 0; i < 300'000; ++i) shards += fmt::format(R"("{}":"{}",)", i, i);
  shards.back() = '}';
  shards += '}';
  EXPECT_LE(index_peak(shards), 3 * size_of(shards) + kAllowance);
  EXPECT_NE(message_.find("files"), std::string::npos) << message_;
}

}  // namespace
}  // namespace hearth
