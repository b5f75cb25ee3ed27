// Layouts: what packing keeps, what it costs.
#include "ops/linear/layout.h"

#include <gtest/gtest.h>

#include "ops/linear/cpu_kernels.h"
#include "ops/linear/random_weight.h"
#include "ops/linear/row_codes.h"
#include "ops/quant/decode.h"
#include "ops/test_ctx.h"

namespace hearth {
namespace {

const DType kPacked[] = {DType::kQ4_0, DType::kQ4_1, DType::kQ5_0,   DType::kQ5_1,  DType::kQ8_0,
                         DType::kQ8_1, DType::kQ4_K, DType::kQ5_K,   DType::kQ6_K,  DType::kF16,
                         DType::kBF16, DType::kF32,  DType::kF8E4M3, DType::kF8E5M2};

Caps cpu_target() { return Caps{.target = DeviceKind::kCpu}; }

TEST(Layout, PacksTheCommonSchemesOnTheCpuOnly) {
  for (DType type : kPacked) {
    EXPECT_EQ(pick_layout(cpu_target(), type, {64, 512}), Layout::kRows16) << name(type);
    EXPECT_EQ(pick_layout(Caps{.target = DeviceKind::kCuda}, type, {64, 512}), Layout::kFile) << name(type);
  }
  EXPECT_EQ(pick_layout(cpu_target(), DType::kIQ2_S, {64, 512}), Layout::kFile);
  EXPECT_EQ(pick_layout(cpu_target(), DType::kF32, {64}), Layout::kFile);
}

TEST(Layout, PadsAtMostTwoPercent) {
  for (DType type : kPacked) {
    for (int64_t out = 1; out < 2000; out += 7) {
      Shape shape{out, 512};
      int64_t file = packed_bytes(type, Layout::kFile, shape);
      int64_t picked = packed_bytes(type, pick_layout(cpu_target(), type, shape), shape);
      EXPECT_EQ(file, out * row_bytes(type, 512));
      EXPECT_GE(picked, file);
      EXPECT_LE(static_cast<double>(picked), 1.02 * static_cast<double>(file)) << name(type) << " " << out;
    }
  }
}

TEST(Layout, RoundTripIsExact) {
  for (DType type : kPacked) {
    for (Layout layout : {Layout::kFile, Layout::kRows16}) {
      for (int64_t in : {256, 768, info(type).block_elements == 256 ? 1024 : 800}) {
        TestCtx t;
        auto file = random_rows(type, 37, in, 41);
        Weight w = weight_of(type, layout, {37, in}, file, [&](int64_t n) { return t.empty(DType::kU8, {n}); });
        std::vector<float> want(static_cast<size_t>(in)), got(want);
        for (int64_t row = 0; row < 37; ++row) {
          quant::decode_row(type, file.data() + row * row_bytes(type, in), want.data(), in);
          unpack_row(w, row, got.data());
          ASSERT_EQ(std::memcmp(want.data(), got.data(), want.size() * sizeof(float)), 0)
              << name(type) << " row " << row << " of " << in;
        }
      }
    }
  }
}

TEST(Layout, AConvolutionIsTheMatrixOfItsPatches) {
  TestCtx t;
  Shape conv{48, 3, 3, 20}, matrix{48, 180};
  for (DType type : {DType::kF32, DType::kF16, DType::kBF16}) {
    Layout layout = pick_layout(cpu_target(), type, conv);
    EXPECT_EQ(layout, Layout::kRows16);
    EXPECT_EQ(packed_bytes(type, layout, conv), packed_bytes(type, layout, matrix));
    EXPECT_EQ(packed_bytes(type, Layout::kFile, conv), 48 * row_bytes(type, 180));
    auto file = random_rows(type, 48, 180, 5);
    auto allocate = [&](int64_t n) { return t.empty(DType::kU8, {n}); };
    Weight w = weight_of(type, layout, conv, file, allocate);
    EXPECT_TRUE(same_bits(w.data, weight_of(type, layout, matrix, file, allocate).data));
    std::vector<float> want(180), got(180);
    quant::decode_row(type, file.data() + 17 * row_bytes(type, 180), want.data(), 180);
    unpack_row(w, 17, got.data());
    EXPECT_EQ(std::memcmp(want.data(), got.data(), 720), 0) << name(type);
  }
}

TEST(Layout, PacksInPieces) {
  TestCtx t;
  Shape shape{70, 256};
  auto file = random_rows(DType::kQ5_K, 70, 256, 43);
  Weight whole =
      weight_of(DType::kQ5_K, Layout::kRows16, shape, file, [&](int64_t n) { return t.empty(DType::kU8, {n}); });
  Tensor pieces = t.empty(DType::kU8, {whole.bytes()});
  for (int64_t first : {48, 0, 64, 32, 16}) {
    int64_t n = std::min<int64_t>(16, 70 - first);
    pack_rows(DType::kQ5_K, Layout::kRows16, shape, first, n, file.data() + first * row_bytes(DType::kQ5_K, 256),
              pieces.raw());
  }
  EXPECT_TRUE(same_bits(pieces, whole.data));
}

// The integer form of every block type means the same values as its definition.
TEST(RowCodes, MeanWhatDecodeRowSays) {
  for (int i = 0; i < static_cast<int>(DType::kCount); ++i) {
    auto type = static_cast<DType>(i);
    Coding c = coding(type);
    if (!info(type).is_block) {
      EXPECT_EQ(c.columns, 0) << name(type);
      continue;
    }
    auto file = random_rows(type, 1, 256, 47);
    std::vector<float> want(256);
    quant::decode_row(type, file.data(), want.data(), 256);
    RowCodes codes;
    read_codes(type, reinterpret_cast<const uint8_t*>(file.data()), 256, codes);
    for (int k = 0; k < 256; ++k) {
      int code = c.levels      ? c.levels[codes.codes[k]]
                 : c.is_signed ? static_cast<int8_t>(codes.codes[k])
                               : codes.codes[k] - c.zero;
      if (c.has_signs && (codes.signs[k / 8] >> k % 8 & 1) != 0) code = -code;
      EXPECT_TRUE(c.is_signed || codes.codes[k] <= c.max_code) << name(type);
      float value = codes.scale[k / c.columns] * static_cast<float>(code);
      if (c.has_min) value += codes.min[k / c.columns];
      ASSERT_FLOAT_EQ(value, want[static_cast<size_t>(k)]) << name(type) << " element " << k;
    }
  }
}

// Codes, signs and scales of 15 rows, bit for bit; a stride longer than a row, because chunks of longer rows have one.
TEST(RowCodes, AreTheSameAtEveryLevel) {
  constexpr int kRows = 15;
  for (CpuIsa isa : cpu_levels()) {
    for (int i = 0; i < static_cast<int>(DType::kCount); ++i) {
      auto type = static_cast<DType>(i);
      const Coding c = coding(type);
      if (c.columns == 0) continue;
      SCOPED_TRACE(std::string(isa_name(isa)) + " " + std::string(name(type)));
      auto file = random_rows(type, kRows, 512, 53);
      auto* bytes = reinterpret_cast<const uint8_t*>(file.data());
      RowCodes want, got[kRows];
      cpu::linear_kernels(isa).read_rows(type, {bytes, row_bytes(type, 512), kRows}, 256, got);
      for (int r = 0; r < kRows; ++r) {
        read_codes(type, bytes + r * row_bytes(type, 512), 256, want);
        auto n_scales = static_cast<size_t>(256 / c.columns) * sizeof(float);
        EXPECT_EQ(std::memcmp(got[r].codes, want.codes, 256), 0) << r;
        EXPECT_EQ(std::memcmp(got[r].scale, want.scale, n_scales), 0) << r;
        EXPECT_TRUE(!c.has_min || std::memcmp(got[r].min, want.min, n_scales) == 0) << r;
        EXPECT_TRUE(!c.has_signs || std::memcmp(got[r].signs, want.signs, sizeof(want.signs)) == 0) << r;
      }
    }
  }
}

}  // namespace
}  // namespace hearth
