// Reading rows by index.
#include "ops/index/index.h"

#include <gtest/gtest.h>

#include "ops/linear/random_weight.h"
#include "ops/quant/decode.h"
#include "ops/test_ctx.h"

namespace hearth {
namespace {

TEST(Embed, DecodesTheRowsAskedFor) {
  for (Layout layout : {Layout::kFile, Layout::kRows16}) {
    TestCtx t;
    auto file = random_rows(DType::kQ8_0, 50, 96, 3);
    Weight table = weight_of(DType::kQ8_0, layout, {50, 96}, file, [&](int64_t n) { return t.empty(DType::kU8, {n}); });
    std::vector<int32_t> ids = {49, 0, 7, 7, 16};
    Tensor y = embed(*t, table, t.ints(ids));
    ASSERT_EQ(y.shape(), (Shape{5, 96}));
    std::vector<float> row(96);
    for (size_t i = 0; i < ids.size(); ++i) {
      quant::decode_row(DType::kQ8_0, file.data() + ids[i] * row_bytes(DType::kQ8_0, 96), row.data(), 96);
      EXPECT_EQ(std::memcmp(row.data(), y.data<float>() + i * 96, 384), 0) << "id " << ids[i];
    }
    Tensor clamped = embed(*t, table, t.ints({-3, 500}));
    EXPECT_TRUE(same_bits(clamped, embed(*t, table, t.ints({0, 49}))));
  }
}

TEST(Rows, PicksRows) {
  TestCtx t;
  Tensor x = t.random({5, 33}, 1), y = rows(*t, x, t.ints({4, 1, 4}));
  ASSERT_EQ(y.shape(), (Shape{3, 33}));
  EXPECT_TRUE(same_bits(y.narrow(0, 0, 1), x.narrow(0, 4, 1)));
  EXPECT_TRUE(same_bits(y.narrow(0, 1, 1), x.narrow(0, 1, 1)));
  EXPECT_TRUE(same_bits(y.narrow(0, 2, 1), x.narrow(0, 4, 1)));
}

TEST(Index, RefusesOtherIndexTypes) {
  TestCtx t;
  EXPECT_NE(error_of([&] { rows(*t, t.random({2, 2}, 1), t.random({2}, 2)); }).find("i32"), std::string::npos);
}

TEST(Index, MetaStatesTheRealPeak) {
  auto [meta, real] = arena_peaks([](TestCtx& t) {
    Tensor y = rows(*t, t.random({9, 40}, 1), t.ints({1, 2, 3}));
  });
  EXPECT_EQ(meta, real);
}

}  // namespace
}  // namespace hearth
