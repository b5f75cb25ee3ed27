#include <algorithm>
#include <numeric>

#include "ops/attention/attention.h"
#include "ops/testing/cuda_cases.h"

namespace hearth {
namespace {

using Inputs = std::vector<Tensor>;

struct RopeShape {
  const char* what;
  int heads, head_dim, rotary_dim;
  float base;
  bool interleaved, factors;
  float position_scale;
};
const RopeShape kRopes[] = {
    {"NeoX pairs", 9, 64, 64, 100000, false, false, 1},     {"neighbouring pairs", 4, 128, 128, 10000, true, false, 1},
    {"Llama 3 factors", 2, 64, 64, 500000, false, true, 1}, {"linear scaling", 3, 96, 96, 10000, true, false, 0.25f},
    {"part of a head", 2, 80, 20, 10000, true, true, 1},    {"wide heads", 1, 256, 256, 1e6f, false, false, 1},
};

struct AttentionShape {
  const char* what;
  int heads, kv_heads, head_dim, page_tokens;
  DType dtype;
  int window;
  float softcap;
  int longest;
};
const AttentionShape kAttentions[] = {
    {"three heads a group", 9, 3, 64, 32, DType::kF16, 0, 0, 700},
    {"every head its own keys", 4, 4, 64, 16, DType::kF16, 0, 0, 90},
    {"one head for all", 8, 1, 128, 32, DType::kF16, 0, 0, 300},
    {"bfloat16", 14, 2, 64, 16, DType::kBF16, 0, 0, 600},
    {"window inside a page", 4, 2, 64, 32, DType::kF16, 5, 0, 90},
    {"window over chunks", 4, 2, 256, 16, DType::kF16, 300, 0, 900},
    {"softcap", 8, 4, 256, 32, DType::kBF16, 0, 2.5f, 90},
    {"float32 pages", 6, 2, 96, 32, DType::kF32, 0, 0, 520},
    {"head_dim 80", 5, 1, 80, 16, DType::kF16, 0, 0, 90},
    {"head_dim 72 and pages of 20", 12, 1, 72, 20, DType::kF16, 33, 3, 90},
    {"head_dim 8 and pages of one token", 2, 1, 8, 1, DType::kF32, 0, 0, 90},
    {"chunks longer than 256", 2, 1, 64, 64, DType::kF16, 0, 0, 9000},
};

void write_cell(const Tensor& to, int64_t at, float value) {
  switch (to.dtype()) {
    case DType::kF16: reinterpret_cast<uint16_t*>(to.raw())[at] = f32_to_f16(value); break;
    case DType::kBF16: reinterpret_cast<uint16_t*>(to.raw())[at] = f32_to_bf16(value); break;
    default: to.data<float>()[at] = value; break;
  }
}

// A table of pages in random order; entries past a sequence's end are never looked at.
std::vector<int32_t> page_table(const std::vector<int>& lengths, int page_tokens, int max_pages, int pages) {
  std::vector<int32_t> order(static_cast<size_t>(pages)), table;
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(5));
  size_t next = 0;
  for (int length : lengths) {
    for (int p = 0; p < max_pages; ++p) table.push_back(p * page_tokens < length ? order[next++] : -1);
  }
  return table;
}

// Pages of the sequences, normal values where positions lie and NaN everywhere else.
Tensor filled_pages(TestCtx& t, const AttentionShape& s, const std::vector<int>& lengths,
                    const std::vector<int32_t>& table, int pages, unsigned seed) {
  Tensor cells = t.empty(s.dtype, {pages, s.kv_heads, s.page_tokens, s.head_dim});
  for (int64_t i = 0; i < cells.numel(); ++i) write_cell(cells, i, NAN);
  std::mt19937 engine(seed);
  std::normal_distribution<float> normal;
  size_t max_pages = table.size() / lengths.size();
  for (size_t seq = 0; seq < lengths.size(); ++seq) {
    for (int position = 0; position < lengths[seq]; ++position) {
      int64_t page = table[seq * max_pages + static_cast<size_t>(position / s.page_tokens)];
      for (int head = 0; head < s.kv_heads; ++head) {
        int64_t at = ((page * s.kv_heads + head) * s.page_tokens + position % s.page_tokens) * s.head_dim;
        for (int d = 0; d < s.head_dim; ++d) write_cell(cells, at + d, normal(engine));
      }
    }
  }
  return cells;
}

// Twenty rows, more than the kernels split: of three sequences, at their ends and inside, two of them padding.
CudaCase attention_case(TestCtx& t, const AttentionShape& s) {
  std::vector<int> lengths = {s.longest, 1, 33};
  int max_pages = (s.longest + s.page_tokens - 1) / s.page_tokens + 2, pages = max_pages + 40;
  std::vector<int32_t> table = page_table(lengths, s.page_tokens, max_pages, pages);
  std::vector<int32_t> pos = {s.longest - 1, 0, 32, -1, 5, 0, 31, 30}, seq = {0, 1, 2, 0, 2, 0, 2, 0};
  for (int i = 0; i < 11; ++i) pos.push_back(s.longest * (i + 1) / 12), seq.push_back(0);
  pos.push_back(-1), seq.push_back(2);
  auto rows = static_cast<int64_t>(pos.size());
  AttentionParams params{1 / std::sqrt(static_cast<float>(s.head_dim)), s.window, s.softcap};
  return {"attention: " + std::string(s.what),
          1e-5,
          {t.random({rows, s.heads + 2, s.head_dim}, 31, 2), t.ints(pos), t.ints(seq),
           filled_pages(t, s, lengths, table, pages, 32), filled_pages(t, s, lengths, table, pages, 33),
           t.ints(table, {static_cast<int64_t>(lengths.size()), max_pages})},
          {0, 1, 2},
          [s, params](Ctx& c, const Inputs& in) {
            return attention(c, in[0].narrow(1, 1, s.heads), {in[3], in[4]}, {in[1], in[2], in[5]}, params);
          },
          {},
          {}};
}

// Keys and values lie behind one another in one tensor, which the step writes into and gives back.
CudaCase append_case(TestCtx& t, DType dtype) {
  Tensor pages = t.empty(dtype, {2, 6, 3, 16, 72});
  std::memset(pages.raw(), 0, static_cast<size_t>(pages.bytes()));
  return {"kv_append " + std::string(name(dtype)),
          0,
          {pages, t.random({5, 4, 72}, 41), t.random({5, 3, 72}, 42), t.ints({95, 0, 17, 16, 40})},
          {},
          [](Ctx& c, const Inputs& in) {
            Shape shape{6, 3, 16, 72};
            KvPages halves{in[0].narrow(0, 0, 1).reshape(shape), in[0].narrow(0, 1, 1).reshape(shape)};
            kv_append(c, halves, in[1].narrow(1, 1, 3), in[2], in[3]);
            return in[0];
          },
          {},
          {}};
}

}  // namespace

std::vector<CudaCase> rope_cases(TestCtx& t) {
  std::vector<CudaCase> cases;
  for (const RopeShape& s : kRopes) {
    std::vector<int32_t> pos = {0, 1, 2, 77, 4095, 8191, 131071, 131071, 5};
    Tensor factors = t.random({s.rotary_dim / 2}, 12);
    for (int64_t i = 0; i < factors.numel(); ++i) factors.data<float>()[i] = 1 + 0.25f * static_cast<float>(i);
    cases.push_back(
        {"rope: " + std::string(s.what),
         1e-6,
         {t.random({static_cast<int64_t>(pos.size()), s.heads + 1, s.head_dim}, 11), t.ints(pos), factors},
         {0, 1},
         [s](Ctx& c, const Inputs& in) {
           RopeParams params{s.rotary_dim, s.base, s.interleaved, s.factors ? in[2] : Tensor(), s.position_scale};
           return rope(c, in[0].narrow(1, 1, s.heads), in[1], params);
         },
         {},
         {}});
  }
  return cases;
}

std::vector<CudaCase> attention_cases(TestCtx& t) {
  std::vector<CudaCase> cases;
  for (const AttentionShape& s : kAttentions) cases.push_back(attention_case(t, s));
  for (DType dtype : {DType::kF16, DType::kBF16, DType::kF32}) cases.push_back(append_case(t, dtype));
  return cases;
}

}  // namespace hearth
