// Quantisers: what is decoded again is as near as the step allows, for any scale, and zeros stay zeros.
#include "ops/quant/encode.h"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "core/base/error.h"
#include "ops/quant/decode.h"

namespace hearth::quant {
namespace {

constexpr int64_t kElements = 1024;

std::vector<float> round_trip(DType type, const std::vector<float>& in) {
  auto n = static_cast<int64_t>(in.size());
  std::vector<uint8_t> blocks(static_cast<size_t>(row_bytes(type, n)));
  encode_row(type, in.data(), blocks.data(), n);
  std::vector<float> out(in.size());
  decode_row(type, blocks.data(), out.data(), n);
  return out;
}

std::vector<float> uniform(float low, float high) {
  std::mt19937 random(42);
  std::vector<float> out(kElements);
  for (float& value : out) {
    value = low + (high - low) * static_cast<float>(random() >> 8) * 0x1p-24f;
  }
  return out;
}

struct Case {
  DType type;
  float error;  // largest, for values in [-1, 1]: half a step and what rounding the scale adds
};

class EncodeTest : public testing::TestWithParam<Case> {};

TEST_P(EncodeTest, ErrorIsHalfAStepAtEveryScale) {
  for (float scale : {1.0f, 0.01f, 300.0f}) {
    std::vector<float> in = uniform(-scale, scale), out = round_trip(GetParam().type, in);
    for (size_t i = 0; i < in.size(); ++i) {
      ASSERT_LE(std::abs(in[i] - out[i]), GetParam().error * scale) << "element " << i << " scale " << scale;
    }
  }
}

TEST_P(EncodeTest, ZerosStayZeros) {
  for (float value : round_trip(GetParam().type, std::vector<float>(kElements, 0.0f))) EXPECT_EQ(value, 0.0f);
}

TEST_P(EncodeTest, OneSidedValues) {
  for (float sign : {1.0f, -1.0f}) {
    std::vector<float> in = uniform(0.5f * sign, sign), out = round_trip(GetParam().type, in);
    for (size_t i = 0; i < in.size(); ++i) ASSERT_LE(std::abs(in[i] - out[i]), GetParam().error) << i;
  }
}

INSTANTIATE_TEST_SUITE_P(Types, EncodeTest,
                         testing::Values(Case{DType::kF32, 0}, Case{DType::kF16, 0x1p-11f}, Case{DType::kBF16, 0x1p-8f},
                                         // The symmetric ones clip the side opposite to the extreme by one step.
                                         Case{DType::kQ4_0, 0.126f}, Case{DType::kQ4_1, 0.068f},
                                         Case{DType::kQ5_0, 0.064f}, Case{DType::kQ5_1, 0.034f},
                                         Case{DType::kQ8_0, 0.0045f}, Case{DType::kQ4_K, 0.09f},
                                         Case{DType::kQ6_K, 0.04f}),
                         [](const auto& of) { return std::string(name(of.param.type)); });

TEST(Encode, OtherTypesAreABug) {
  EXPECT_FALSE(can_encode(DType::kIQ2_XXS));
  float in[256] = {};
  uint8_t out[256];
  EXPECT_THROW(encode_row(DType::kIQ2_XXS, in, out, 256), Error);
  EXPECT_THROW(encode_row(DType::kQ8_0, in, out, 16), Error);
}

}  // namespace
}  // namespace hearth::quant
