// DType: names and ids are one-to-one, conversions round to nearest even at every boundary.
#include "core/tensor/dtype.h"

#include <cmath>
#include <limits>
#include <set>
#include <tuple>

#include <gtest/gtest.h>

#include "core/base/error.h"

namespace hearth {
namespace {

TEST(DType, EveryTypeHasAUniqueNameThatLeadsBack) {
  std::set<std::string_view> names;
  for (int i = 0; i < static_cast<int>(DType::kCount); ++i) {
    auto type = static_cast<DType>(i);
    EXPECT_TRUE(names.insert(name(type)).second) << name(type);
    EXPECT_EQ(from_name(name(type)), type);
    EXPECT_EQ(info(type).is_block, info(type).block_elements > 1) << name(type);
  }
  EXPECT_FALSE(from_name("q9_9"));
}

TEST(DType, GgmlIdsMapToEveryBlockTypeOnce) {
  std::set<DType> seen;
  for (uint32_t id = 0; id < 64; ++id) {
    auto type = from_ggml(id);
    EXPECT_TRUE(!type || seen.insert(*type).second) << id;
  }
  for (int i = 0; i < static_cast<int>(DType::kCount); ++i) {
    auto type = static_cast<DType>(i);
    EXPECT_TRUE(!info(type).is_block || seen.count(type)) << name(type);
  }
  EXPECT_EQ(from_ggml(0), DType::kF32);
  EXPECT_EQ(from_ggml(12), DType::kQ4_K);
  EXPECT_EQ(from_ggml(14), DType::kQ6_K);
  EXPECT_EQ(from_ggml(30), DType::kBF16);
  EXPECT_EQ(from_ggml(41), DType::kQ1_0);
  EXPECT_EQ(from_ggml(42), DType::kQ2_0);
  for (uint32_t removed : {4u, 5u, 31u, 32u, 33u, 36u, 37u, 38u, 43u, ~0u}) EXPECT_FALSE(from_ggml(removed));
}

TEST(DType, RowBytesCountWholeBlocks) {
  EXPECT_EQ(row_bytes(DType::kBF16, 7), 14);
  EXPECT_EQ(row_bytes(DType::kQ4_K, 512), 288);
  EXPECT_EQ(row_bytes(DType::kQ6_K, 256), 210);
  EXPECT_EQ(row_bytes(DType::kMXFP4, 64), 34);
  EXPECT_EQ(row_bytes(DType::kQ8_0, 0), 0);
  EXPECT_THROW(row_bytes(DType::kQ8_0, 33), Error);
}

TEST(DType, SafetensorsNames) {
  EXPECT_EQ(from_safetensors("BF16"), DType::kBF16);
  EXPECT_EQ(from_safetensors("F8_E4M3"), DType::kF8E4M3);
  EXPECT_FALSE(from_safetensors("bf16"));
  const std::tuple<const char*, DType, int64_t> kSizes[] = {
      {"BOOL", DType::kBool, 1},       {"U8", DType::kU8, 1},           {"I8", DType::kI8, 1},
      {"F8_E4M3", DType::kF8E4M3, 1},  {"F8_E5M2", DType::kF8E5M2, 1},  {"F8_E8M0", DType::kF8E8M0, 1},
      {"I16", DType::kI16, 2},         {"U16", DType::kU16, 2},         {"F16", DType::kF16, 2},
      {"BF16", DType::kBF16, 2},       {"I32", DType::kI32, 4},         {"U32", DType::kU32, 4},
      {"F32", DType::kF32, 4},         {"I64", DType::kI64, 8},         {"U64", DType::kU64, 8},
      {"F64", DType::kF64, 8},
  };
  for (const auto& [spelling, type, bytes] : kSizes) {
    EXPECT_EQ(from_safetensors(spelling), type) << spelling;
    EXPECT_EQ(row_bytes(type, 1), bytes) << spelling;
  }
}

TEST(DType, EveryHalfSurvivesTheRoundTrip) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    float value = f16_to_f32(static_cast<uint16_t>(bits));
    uint16_t back = f32_to_f16(value);
    if (std::isnan(value)) {
      EXPECT_EQ(back & 0x7e00, 0x7e00);
    } else {
      ASSERT_EQ(back, bits);
    }
  }
  EXPECT_EQ(f16_to_f32(0x3c00), 1.0f);
  EXPECT_EQ(f16_to_f32(0x7bff), 65504.0f);
  EXPECT_EQ(f16_to_f32(0x0001), 0x1p-24f);
}

TEST(DType, HalvesRoundToNearestEvenBetweenAllNeighbours) {
  for (uint16_t low = 0; low < 0x7bff; ++low) {
    auto high = static_cast<uint16_t>(low + 1);
    float middle = (f16_to_f32(low) + f16_to_f32(high)) / 2;  // exact in float
    ASSERT_EQ(f32_to_f16(middle), low % 2 == 0 ? low : high) << low;
    ASSERT_EQ(f32_to_f16(std::nextafter(middle, 0.0f)), low);
    ASSERT_EQ(f32_to_f16(std::nextafter(middle, 1e9f)), high);
    ASSERT_EQ(f32_to_f16(-middle), (low % 2 == 0 ? low : high) | 0x8000);
  }
  EXPECT_EQ(f32_to_f16(65519.996f), 0x7bff);
  EXPECT_EQ(f32_to_f16(65520.0f), 0x7c00);
  EXPECT_EQ(f32_to_f16(std::numeric_limits<float>::infinity()), 0x7c00);
}

TEST(DType, Bf16RoundsToNearestEven) {
  EXPECT_EQ(f32_to_bf16(1.0f), 0x3f80);
  EXPECT_EQ(f32_to_bf16(1.0f + 0x1p-8f), 0x3f80);            // tie, even below
  EXPECT_EQ(f32_to_bf16(1.0f + 0x1p-7f + 0x1p-8f), 0x3f82);  // tie, even above
  EXPECT_EQ(f32_to_bf16(1.0f + 0x1p-8f + 0x1p-20f), 0x3f81);
  EXPECT_EQ(f32_to_bf16(std::numeric_limits<float>::max()), 0x7f80);
  EXPECT_TRUE(std::isnan(bf16_to_f32(f32_to_bf16(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_EQ(bf16_to_f32(0xc040), -3.0f);
}

TEST(DType, EightBitFloats) {
  EXPECT_EQ(f8e4m3_to_f32(0x38), 1.0f);
  EXPECT_EQ(f8e4m3_to_f32(0x7e), 448.0f);
  EXPECT_EQ(f8e4m3_to_f32(0x01), 0x1p-9f);
  EXPECT_EQ(f8e4m3_to_f32(0xb8), -1.0f);
  EXPECT_TRUE(std::isnan(f8e4m3_to_f32(0xff)));
  EXPECT_EQ(f8e5m2_to_f32(0x3c), 1.0f);
  EXPECT_EQ(f8e5m2_to_f32(0x7b), 57344.0f);
  EXPECT_EQ(f8e5m2_to_f32(0x01), 0x1p-16f);
  EXPECT_TRUE(std::isinf(f8e5m2_to_f32(0x7c)));
  for (int bits = 0; bits < 255; ++bits) {
    EXPECT_EQ(f8e8m0_to_f32(static_cast<uint8_t>(bits)), std::ldexp(1.0f, bits - 127)) << bits;
  }
  EXPECT_TRUE(std::isnan(f8e8m0_to_f32(0xff)));
}

}  // namespace
}  // namespace hearth
