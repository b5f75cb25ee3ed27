// Attention against float64 over paged keys and values, and its promise: a row's bits depend on that row alone.
#include "ops/attention/attention.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "ops/test_ctx.h"

namespace hearth {
namespace {

struct AttentionCase {
  const char* what;
  int heads, kv_heads, head_dim, page_tokens;
  DType dtype;
  int window;
  float softcap;
};
const AttentionCase kCases[] = {
    {"SmolLM2: three heads a group", 9, 3, 64, 32, DType::kF16, 0, 0},
    {"every head its own keys", 4, 4, 64, 16, DType::kF16, 0, 0},
    {"one head for all", 8, 1, 128, 32, DType::kF16, 0, 0},
    {"seven heads a group (Qwen2.5)", 14, 2, 64, 16, DType::kBF16, 0, 0},
    {"sliding window inside a page", 4, 2, 64, 32, DType::kF16, 5, 0},
    {"sliding window over pages (Gemma)", 4, 2, 256, 16, DType::kF16, 40, 0},
    {"softcap (Gemma 2)", 8, 4, 256, 32, DType::kBF16, 0, 2.5f},
    {"float32 pages", 6, 2, 96, 32, DType::kF32, 0, 0},
    {"head_dim 80, half a vector over", 5, 1, 80, 16, DType::kF16, 0, 0},
    {"head_dim 72 and pages of 20", 12, 1, 72, 20, DType::kF16, 33, 3},
    {"head_dim 8 and pages of one token", 2, 1, 8, 1, DType::kF32, 0, 0},
    {"pages of 64", 6, 2, 64, 64, DType::kF16, 0, 0},
    {"a group wider than a tile", 70, 1, 16, 16, DType::kF16, 0, 0},
};

// Sequences in pages: which physical page holds what is drawn from `seed`; every slot no position fills is NaN.
struct World {
  AttentionCase test;
  KvPages pages;
  Tensor page_table;
  int max_pages;
};

void write_slot(const Tensor& to, int64_t at, float value) {
  switch (to.dtype()) {
    case DType::kF16: reinterpret_cast<uint16_t*>(to.raw())[at] = f32_to_f16(value); break;
    case DType::kBF16: reinterpret_cast<uint16_t*>(to.raw())[at] = f32_to_bf16(value); break;
    default: to.data<float>()[at] = value; break;
  }
}

float read_slot(const Tensor& from, int64_t at) {
  switch (from.dtype()) {
    case DType::kF16: return f16_to_f32(reinterpret_cast<uint16_t*>(from.raw())[at]);
    case DType::kBF16: return bf16_to_f32(reinterpret_cast<uint16_t*>(from.raw())[at]);
    default: return from.data<float>()[at];
  }
}

int64_t slot_index(const World& w, int seq, int64_t position, int kv_head) {
  int64_t tokens = w.test.page_tokens;
  int64_t page = w.page_table.data<int32_t>()[seq * w.max_pages + position / tokens];
  return ((page * w.test.kv_heads + kv_head) * tokens + position % tokens) * w.test.head_dim;
}

World make_world(TestCtx& t, const AttentionCase& test, const std::vector<int>& lengths, unsigned seed,
                 int spare_pages = 0) {
  int longest = *std::max_element(lengths.begin(), lengths.end()), seqs = static_cast<int>(lengths.size());
  World w{test, {}, {}, (longest + test.page_tokens - 1) / test.page_tokens + spare_pages};
  int n = seqs * w.max_pages + 3;
  std::vector<int32_t> order(n);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(seed));
  order.resize(seqs * w.max_pages);
  for (int seq = 0; seq < seqs; ++seq) {  // entries past a sequence's end are never looked at
    for (int p = (lengths[seq] + test.page_tokens - 1) / test.page_tokens; p < w.max_pages; ++p) {
      order[seq * w.max_pages + p] = -1;
    }
  }
  w.page_table = t.ints(order, {seqs, w.max_pages});
  Shape shape{n, test.kv_heads, test.page_tokens, test.head_dim};
  w.pages = {t.empty(test.dtype, shape), t.empty(test.dtype, shape)};
  for (int64_t i = 0; i < w.pages.k.numel(); ++i) write_slot(w.pages.k, i, NAN), write_slot(w.pages.v, i, NAN);
  std::mt19937 values(99);  // the contents depend on sequence and position, not on where they lie
  std::normal_distribution<float> normal;
  for (int seq = 0; seq < seqs; ++seq) {
    for (int position = 0; position < lengths[seq]; ++position) {
      for (int head = 0; head < test.kv_heads; ++head) {
        for (int d = 0; d < test.head_dim; ++d) {
          write_slot(w.pages.k, slot_index(w, seq, position, head) + d, normal(values));
          write_slot(w.pages.v, slot_index(w, seq, position, head) + d, normal(values));
        }
      }
    }
  }
  return w;
}

AttentionParams params_of(const AttentionCase& test) {
  return {1.0f / std::sqrt(static_cast<float>(test.head_dim)), test.window, test.softcap};
}

struct Row {
  int seq, pos;
};

// Query of (seq, pos): the same wherever the row stands in a batch.
Tensor queries(TestCtx& t, const AttentionCase& test, const std::vector<Row>& rows) {
  Tensor q = t.empty(DType::kF32, {static_cast<int64_t>(rows.size()), test.heads, test.head_dim});
  int64_t size = test.heads * test.head_dim;
  for (size_t row = 0; row < rows.size(); ++row) {
    std::mt19937 engine(static_cast<unsigned>(rows[row].seq * 100003 + rows[row].pos));
    std::normal_distribution<float> normal(0, 2);
    for (int64_t i = 0; i < size; ++i) q.data<float>()[static_cast<int64_t>(row) * size + i] = normal(engine);
  }
  return q;
}

Tensor attend(TestCtx& t, const World& w, const std::vector<Row>& rows) {
  std::vector<int32_t> pos, seq;
  for (Row row : rows) pos.push_back(row.pos), seq.push_back(row.seq);
  AttentionIndex index{t.ints(pos), t.ints(seq), w.page_table};
  return attention(*t, queries(t, w.test, rows), w.pages, index, params_of(w.test));
}

std::vector<double> reference(TestCtx& t, const World& w, const std::vector<Row>& rows) {
  const AttentionCase& test = w.test;
  AttentionParams p = params_of(test);
  Tensor q = queries(t, test, rows);
  std::vector<double> y(q.numel());
  for (int64_t at = 0; at < static_cast<int64_t>(rows.size()) * test.heads; ++at) {
    Row row = rows[at / test.heads];
    int kv_head = static_cast<int>(at % test.heads) / (test.heads / test.kv_heads);
    const float* query = q.data<float>() + at * test.head_dim;
    int begin = p.window > 0 ? std::max(0, row.pos + 1 - p.window) : 0;
    std::vector<double> score;
    for (int position = begin; position <= row.pos; ++position) {
      double dot = 0;
      int64_t k = slot_index(w, row.seq, position, kv_head);
      for (int d = 0; d < test.head_dim; ++d) dot += static_cast<double>(query[d]) * read_slot(w.pages.k, k + d);
      dot *= p.scale;
      score.push_back(p.softcap > 0 ? p.softcap * std::tanh(dot / p.softcap) : dot);
    }
    double highest = *std::max_element(score.begin(), score.end()), sum = 0;
    for (double& s : score) sum += s = std::exp(s - highest);
    for (int position = begin; position <= row.pos; ++position) {
      int64_t v = slot_index(w, row.seq, position, kv_head);
      double weight = score[position - begin] / sum;
      for (int d = 0; d < test.head_dim; ++d) y[at * test.head_dim + d] += weight * read_slot(w.pages.v, v + d);
    }
  }
  return y;
}

std::vector<Row> consecutive(int seq, int begin, int end) {
  std::vector<Row> rows;
  for (int pos = begin; pos < end; ++pos) rows.push_back({seq, pos});
  return rows;
}

TEST(Attention, MatchesFloat64) {
  for (CpuIsa isa : cpu_levels()) {
    for (const AttentionCase& test : kCases) {
      TestCtx t(isa);
      World w = make_world(t, test, {90, 1, 33}, 1);
      std::vector<Row> rows = consecutive(0, 20, 90);  // a prompt's chunk, then single rows of other sequences
      rows.insert(rows.end(), {{1, 0}, {2, 32}, {2, 5}, {0, 0}});
      EXPECT_LT(worst_error(attend(t, w, rows), reference(t, w, rows)), 4e-6) << test.what << " " << isa_name(isa);
    }
  }
}

TEST(Attention, VectorLevelsAgreeBitwise) {
  std::vector<CpuIsa> levels = cpu_levels();
  for (const AttentionCase& test : kCases) {
    TestCtx best(levels.back());
    World w = make_world(best, test, {70}, 2);
    Tensor wanted = attend(best, w, consecutive(0, 0, 70));
    for (size_t i = 1; i + 1 < levels.size(); ++i) {
      TestCtx t(levels[i]);
      EXPECT_TRUE(same_bits(attend(t, w, consecutive(0, 0, 70)), wanted)) << test.what << " " << isa_name(levels[i]);
    }
  }
}

// Every way of computing the same rows must give the same bytes.
TEST(Attention, ARowsBitsDependOnThatRowAlone) {
  constexpr int kLength = 150;
  for (CpuIsa isa : cpu_levels()) {
    for (const AttentionCase& test : kCases) {
      TestCtx t(isa);
      World w = make_world(t, test, {kLength, 80, 40}, 3);
      Tensor whole = attend(t, w, consecutive(0, 0, kLength));
      for (int chunk : {1, 7, 32, 128}) {
        for (int begin = 0; begin < kLength; begin += chunk) {
          int end = std::min(begin + chunk, kLength);
          Tensor part = attend(t, w, consecutive(0, begin, end));
          ASSERT_TRUE(same_bits(part, whole.narrow(0, begin, end - begin)))
              << test.what << " chunk " << chunk << " at " << begin << " " << isa_name(isa);
        }
      }
      std::vector<Row> mixed = {{1, 79}, {0, 100}, {0, 149}, {2, 39}, {0, 0}, {0, 63}, {0, 31}, {1, 3}};
      Tensor batch = attend(t, w, mixed);
      for (size_t row : {1, 2, 4, 5, 6}) {
        EXPECT_TRUE(same_bits(batch.narrow(0, static_cast<int64_t>(row), 1), whole.narrow(0, mixed[row].pos, 1)))
            << test.what << " in a mixed batch, position " << mixed[row].pos << " " << isa_name(isa);
      }
      TestCtx single(isa, 1);
      World moved = make_world(single, test, {kLength, 80, 40}, 77, 9);
      EXPECT_TRUE(same_bits(attend(single, moved, consecutive(0, 0, kLength)), whole))
          << test.what << " in other pages, a wider table, one thread " << isa_name(isa);
    }
  }
}

TEST(Attention, PaddingRowsAreZeroAndHarmless) {
  for (CpuIsa isa : cpu_levels()) {
    TestCtx t(isa);
    World w = make_world(t, kCases[0], {50}, 4);
    Tensor alone = attend(t, w, {{0, 49}});
    Tensor padded = attend(t, w, {{0, -1}, {0, 49}, {0, -1}, {0, -1}});
    EXPECT_TRUE(same_bits(padded.narrow(0, 1, 1), alone)) << isa_name(isa);
    for (int64_t i = 0; i < alone.numel(); ++i) EXPECT_EQ(padded.narrow(0, 2, 1).data<float>()[i], 0);
  }
}

TEST(Attention, MetaTakesTheSameSpace) {
  for (const AttentionCase& test : kCases) {
    auto [meta, real] = arena_peaks([&](TestCtx& t) {
      Shape shape{2, test.kv_heads, test.page_tokens, test.head_dim};
      KvPages pages{t.empty(test.dtype, shape), t.empty(test.dtype, shape)};
      AttentionIndex index{t.ints({0, 0}), t.ints({0, 0}), t.ints({1}, {1, 1})};
      Tensor y = attention(*t, t.random({2, test.heads, test.head_dim}, 1), pages, index, params_of(test));
    });
    EXPECT_EQ(meta, real) << test.what;
    EXPECT_GT(meta, 0);
  }
}

TEST(Attention, RefusalsSayWhatWasWrong) {
  TestCtx t;
  World w = make_world(t, kCases[0], {50}, 4);
  AttentionIndex index{t.ints({49}), t.ints({0}), w.page_table};
  AttentionParams p = params_of(kCases[0]);
  auto message = [&](Tensor q, const AttentionIndex& i) { return error_of([&] { attention(*t, q, w.pages, i, p); }); };
  Tensor q = t.random({1, 9, 64}, 1);
  EXPECT_EQ(message(q, index), "");
  EXPECT_NE(message(t.random({1, 8, 64}, 1), index).find("attention: got q f32 [1, 8, 64] for pages"),
            std::string::npos);
  EXPECT_NE(message(t.random({1, 9, 32}, 1), index).find("wanted q [rows, a multiple of 3 heads, 64]"),
            std::string::npos);
  EXPECT_NE(message(q, {t.ints({1, 2}), index.seq, index.page_table}).find("pos i32 [2], wanted contiguous i32 [1]"),
            std::string::npos);
  EXPECT_NE(message(q, {index.pos, index.seq, t.ints({0, 1})}).find("page_table i32 [2]"), std::string::npos);
  EXPECT_NE(message(q, {t.ints({5000}), index.seq, index.page_table}).find("pos lies within page_table"),
            std::string::npos);
  EXPECT_NE(message(q, {index.pos, t.ints({1}), index.page_table}).find("seq names a row"), std::string::npos);
}

}  // namespace
}  // namespace hearth
