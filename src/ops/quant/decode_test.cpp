// Reference decoding: block layouts have the sizes files have, blocks worked out by hand decode to the values they
// spell, and every format is covered. tests/oracle/gguf_oracle.py compares random blocks with the reference package.
#include "ops/quant/decode.h"

#include <cmath>
#include <cstring>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "ops/quant/decode_block.h"
#include "ops/quant/iq_grids.h"

namespace hearth::quant {
namespace {

constexpr uint16_t kHalfOne = 0x3c00, kHalfTwo = 0x4000, kHalfMinusHalf = 0xb800;

template <class Block>
std::vector<float> decoded(const Block& block) {
  std::vector<float> out(Block::kElements);
  decode_row(Block::kType, &block, out.data(), Block::kElements);
  return out;
}

template <class... Blocks>
void expect_sizes() {
  (..., [] {
    const DTypeInfo& of = info(Blocks::kType);
    EXPECT_EQ(static_cast<int>(sizeof(Blocks)), of.block_bytes) << of.name;
    EXPECT_EQ(Blocks::kElements, of.block_elements) << of.name;
  }());
}

TEST(Decode, BlocksHaveTheSizesOfTheFormat) {
  expect_sizes<BlockQ4_0, BlockQ4_1, BlockQ5_0, BlockQ5_1, BlockQ8_0, BlockQ8_1, BlockQ2_K, BlockQ3_K, BlockQ4_K,
               BlockQ5_K, BlockQ6_K, BlockQ8_K, BlockIQ1_S, BlockIQ1_M, BlockIQ2_XXS, BlockIQ2_XS, BlockIQ2_S,
               BlockIQ3_XXS, BlockIQ3_S, BlockIQ4_NL, BlockIQ4_XS, BlockTQ1_0, BlockTQ2_0, BlockQ1_0, BlockQ2_0,
               BlockMXFP4, BlockNVFP4>();
}

TEST(Decode, EveryTypeIsSupportedAndWritesEveryElement) {
  for (int i = 0; i < static_cast<int>(DType::kCount); ++i) {
    auto type = static_cast<DType>(i);
    ASSERT_TRUE(supported(type)) << name(type);
    int64_t n = 3 * info(type).block_elements;
    std::vector<uint8_t> bytes(static_cast<size_t>(row_bytes(type, n)), 0);
    std::vector<float> out(static_cast<size_t>(n) + 1, 77.0f);
    decode_row(type, bytes.data(), out.data(), n);
    for (int64_t j = 0; j < n; ++j) EXPECT_NE(out[static_cast<size_t>(j)], 77.0f) << name(type) << " " << j;
    EXPECT_EQ(out.back(), 77.0f) << name(type);
  }
  EXPECT_FALSE(supported(DType::kCount));
}

TEST(Decode, PartialBlocksAreABug) {
  uint8_t bytes[64] = {};
  float out[64];
  EXPECT_THROW(decode_row(DType::kQ4_0, bytes, out, 31), Error);
}

TEST(Decode, UnalignedBlocksAreFine) {
  BlockQ8_K block{.d = 0.5f, .qs = {}, .bsums = {}};
  block.qs[255] = -9;
  std::vector<uint8_t> bytes(sizeof(block) + 1);
  std::memcpy(bytes.data() + 1, &block, sizeof(block));
  float out[256];
  decode_row(DType::kQ8_K, bytes.data() + 1, out, 256);
  EXPECT_EQ(out[255], -4.5f);
}

TEST(Decode, Q4_0PutsHighNibblesInTheSecondHalf) {
  BlockQ4_0 block{.d = kHalfTwo, .qs = {}};
  block.qs[3] = 0xf1;
  std::vector<float> out = decoded(block);
  EXPECT_EQ(out[3], -14.0f);  // (1 - 8) * 2
  EXPECT_EQ(out[19], 14.0f);  // (15 - 8) * 2
  EXPECT_EQ(out[0], -16.0f);
}

TEST(Decode, Q8_1IgnoresItsSum) {
  BlockQ8_1 block{.d = kHalfMinusHalf, .s = kHalfTwo, .qs = {}};
  block.qs[0] = -128;
  block.qs[31] = 3;
  std::vector<float> out = decoded(block);
  EXPECT_EQ(out[0], 64.0f);
  EXPECT_EQ(out[31], -1.5f);
}

TEST(Decode, Q8_KHasAFloatScale) {
  BlockQ8_K block{.d = 0.25f, .qs = {}, .bsums = {}};
  block.qs[0] = 127;
  block.qs[200] = -128;
  std::vector<float> out = decoded(block);
  EXPECT_EQ(out[0], 31.75f);
  EXPECT_EQ(out[200], -32.0f);
}

TEST(Decode, Q1_0IsASign) {
  BlockQ1_0 block{.d = kHalfTwo, .qs = {}};
  block.qs[0] = 0x05;   // elements 0 and 2
  block.qs[15] = 0x80;  // element 127
  std::vector<float> out = decoded(block);
  for (size_t i = 0; i < 128; ++i) EXPECT_EQ(out[i], i == 0 || i == 2 || i == 127 ? 2.0f : -2.0f) << i;
}

TEST(Decode, Q2_0CountsFromMinusOne) {
  BlockQ2_0 block{.d = kHalfTwo, .qs = {}};
  block.qs[0] = 0b11100100;   // elements 0 to 3 are 0, 1, 2, 3
  block.qs[15] = 0b01000000;  // element 63 is 1
  std::vector<float> out = decoded(block);
  EXPECT_EQ(out[0], -2.0f);
  EXPECT_EQ(out[1], 0.0f);
  EXPECT_EQ(out[2], 2.0f);
  EXPECT_EQ(out[3], 4.0f);
  EXPECT_EQ(out[63], 0.0f);
  EXPECT_EQ(out[62], -2.0f);
}

TEST(Decode, Q4_KSubBlocksHaveTheirOwnScaleAndMinimum) {
  BlockQ4_K block{.d = kHalfOne, .dmin = kHalfTwo, .scales = {}, .qs = {}};
  block.scales[0] = 3;           // scale of sub-block 0
  block.scales[4] = 5;           // minimum of sub-block 0
  block.scales[1] = 2 << 6;      // high bits of sub-block 5's scale
  block.scales[5] = 1 << 6;      // high bits of sub-block 5's minimum
  block.scales[9] = 0x70 | 0x9;  // low bits: minimum 7, scale 9
  block.qs[0] = 0x0c;            // element 0
  block.qs[2 * 32] = 0xd0;       // element 160: sub-block 5, first element
  EXPECT_EQ(k_scale_min(block.scales, 5).scale, 2 * 16 + 9);
  EXPECT_EQ(k_scale_min(block.scales, 5).min, 16 + 7);
  std::vector<float> out = decoded(block);
  EXPECT_EQ(out[0], 3 * 12 - 2 * 5);
  EXPECT_EQ(out[1], -2 * 5);
  EXPECT_EQ(out[160], 41 * 13 - 2 * 23);
  EXPECT_EQ(out[32], 0);
}

TEST(Decode, ScalarsKeepTheirValue) {
  float out[2];
  decode_row(DType::kF64, std::vector<double>{0.5, -1e300}.data(), out, 2);
  EXPECT_EQ(out[0], 0.5f);
  EXPECT_TRUE(std::isinf(out[1]));
  decode_row(DType::kI64, std::vector<int64_t>{-3, int64_t{1} << 40}.data(), out, 2);
  EXPECT_EQ(out[0], -3.0f);
  EXPECT_EQ(out[1], 0x1p40f);
  decode_row(DType::kI8, std::vector<int8_t>{-128, 127}.data(), out, 2);
  EXPECT_EQ(out[0], -128.0f);
  decode_row(DType::kU8, std::vector<uint8_t>{255, 0}.data(), out, 2);
  EXPECT_EQ(out[0], 255.0f);
  decode_row(DType::kBool, std::vector<uint8_t>{2, 0}.data(), out, 2);
  EXPECT_EQ(out[0], 1.0f);
  decode_row(DType::kF8E4M3, std::vector<uint8_t>{0x7e, 0x01}.data(), out, 2);
  EXPECT_EQ(out[0], 448.0f);
  decode_row(DType::kF8E5M2, std::vector<uint8_t>{0x7b, 0x01}.data(), out, 2);
  EXPECT_EQ(out[0], 57344.0f);
}

TEST(IqGrids, PointsAscendAndUseTheirLevelsOnly) {
  EXPECT_EQ(iq1_grid().size(), 2048u);
  EXPECT_EQ(iq2_s_grid().size(), 1024u);
  EXPECT_EQ(iq2_xxs_grid().front(), (Point8{8, 8, 8, 8, 8, 8, 8, 8}));
  EXPECT_EQ(iq1_grid().front(), (Point8{-1, -1, -1, -1, -1, -1, -1, -1}));
  EXPECT_EQ(iq1_grid().back(), (Point8{1, 1, 1, 1, 1, 1, 1, 1}));
  for (const Point4& point : iq3_s_grid()) {
    for (int8_t element : point) EXPECT_TRUE(element % 2 == 1 && element > 0 && element < 16);
  }
}

}  // namespace
}  // namespace hearth::quant
