#include "ops/testing/cuda_cases.h"

#include "ops/index/index.h"
#include "ops/linear/linear.h"
#include "ops/linear/random_weight.h"
#include "ops/norm/norm.h"
#include "ops/pointwise/pointwise.h"
#include "ops/quant/decode.h"

namespace hearth {
namespace {

using Inputs = std::vector<Tensor>;

Tensor bytes_tensor(TestCtx& t, const std::vector<std::byte>& bytes) {
  Tensor tensor = t.empty(DType::kU8, {static_cast<int64_t>(bytes.size())});
  std::memcpy(tensor.raw(), bytes.data(), bytes.size());
  return tensor;
}

std::vector<DType> weight_types() {
  std::vector<DType> types = {DType::kF32, DType::kF16, DType::kBF16, DType::kF8E4M3, DType::kF8E5M2};
  for (int i = static_cast<int>(DType::kQ4_0); i < static_cast<int>(DType::kCount); ++i) {
    types.push_back(static_cast<DType>(i));
  }
  return types;
}

struct LinearShape {
  int64_t rows, out, in;
  bool with_bias, narrow_x;  // narrow_x: x is a view of a wider tensor, its rows not aligned
};

void add_sums(CudaCase& test, DType type, const LinearShape& shape, const Tensor& x) {
  std::vector<float> w(static_cast<size_t>(shape.in));
  int64_t first = shape.narrow_x ? 3 : 0;
  test.wanted.resize(static_cast<size_t>(shape.rows * shape.out));
  test.magnitude = test.wanted;
  for (int64_t o = 0; o < shape.out; ++o) {
    quant::decode_row(type, test.in[1].raw() + o * row_bytes(type, shape.in), w.data(), shape.in);
    for (int64_t r = 0; r < shape.rows; ++r) {
      double sum = shape.with_bias ? test.in[2].data<float>()[o] : 0, magnitude = std::abs(sum) + 1e-30;
      for (int64_t i = 0; i < shape.in; ++i) {
        double term = static_cast<double>(w[static_cast<size_t>(i)]) * x.data<float>()[r * x.dim(1) + first + i];
        sum += term, magnitude += std::abs(term);
      }
      test.wanted[static_cast<size_t>(r * shape.out + o)] = sum;
      test.magnitude[static_cast<size_t>(r * shape.out + o)] = magnitude;
    }
  }
}

// A lane adds about in/32 products in float32, and then the lanes are added: 1e-6 of the terms' sum is 17 roundings.
CudaCase linear_case(TestCtx& t, DType type, const LinearShape& s, unsigned seed) {
  CudaCase test;
  test.what = "linear " + std::string(name(type)) + " " + Shape{s.rows, s.out, s.in}.text();
  test.bound = 1e-6;
  test.of_rows = {0};
  Tensor x = t.random({s.rows, s.in + (s.narrow_x ? 8 : 0)}, seed);
  test.in = {x, bytes_tensor(t, random_rows(type, s.out, s.in, seed + 1))};
  if (s.with_bias) test.in.push_back(t.random({s.out}, seed + 2));
  add_sums(test, type, s, x);
  test.step = [type, s](Ctx& c, const Inputs& in) {
    Weight w{{s.out, s.in}, type, Layout::kFile, in[1]};
    return linear(c, s.narrow_x ? in[0].narrow(1, 3, s.in) : in[0], w, s.with_bias ? in[2] : Tensor());
  };
  return test;
}

}  // namespace

std::vector<CudaCase> pointwise_cases(TestCtx& t) {
  using Step = Tensor (*)(Ctx&, const Inputs&);
  struct Op {
    const char* name;
    double bound;
    Step step;
  };
  const Op ops[] = {
      {"add", 0, [](Ctx& c, const Inputs& in) { return add(c, in[0], in[1]); }},
      {"scale", 0, [](Ctx& c, const Inputs& in) { return scale(c, in[0], 0.37f); }},
      {"swiglu", 1e-6, [](Ctx& c, const Inputs& in) { return swiglu(c, in[0], in[1]); }},
      {"geglu", 2e-6, [](Ctx& c, const Inputs& in) { return geglu(c, in[0], in[1]); }},
      {"softcap", 1e-6, [](Ctx& c, const Inputs& in) { return softcap(c, in[0], 2.5f); }},
  };
  std::vector<CudaCase> cases;
  for (Shape shape : {Shape{5, 1003}, Shape{1, 1}, Shape{300, 576}}) {
    Tensor a = t.random(shape, 1, 3), b = t.random(shape, 2, 3);
    for (const Op& op : ops) {
      cases.push_back({std::string(op.name) + " " + shape.text(), op.bound, {a, b}, {0, 1}, op.step, {}, {}});
    }
  }
  return cases;
}

std::vector<CudaCase> norm_cases(TestCtx& t) {
  auto plain = [](Ctx& c, const Inputs& in) { return rms_norm(c, in[0], in[2], 1e-5f); };
  auto normed = [](Ctx& c, const Inputs& in) { return add_rms_norm(c, in[0], in[1], in[2], 1e-5f).normed; };
  auto sum = [](Ctx& c, const Inputs& in) { return add_rms_norm(c, in[0], in[1], in[2], 1e-5f).sum; };
  std::vector<CudaCase> cases;
  for (Shape shape : {Shape{1, 576}, Shape{7, 3, 64}, Shape{5, 9}, Shape{2, 1}, Shape{3, 1003}, Shape{40, 5120}}) {
    Inputs in = {t.random(shape, 3, 3), t.random(shape, 4), t.random({shape[-1]}, 5)};
    cases.push_back({"rms_norm " + shape.text(), 3e-6, in, {0, 1}, plain, {}, {}});
    cases.push_back({"add_rms_norm " + shape.text(), 3e-6, in, {0, 1}, normed, {}, {}});
    cases.push_back({"sum of add_rms_norm " + shape.text(), 0, in, {0, 1}, sum, {}, {}});
  }
  cases.push_back(
      {"rms_norm of strided heads",
       3e-6,
       {t.random({6, 5, 96}, 6), t.random({64}, 7)},
       {0},
       [](Ctx& c, const Inputs& in) { return rms_norm(c, in[0].narrow(2, 16, 64).narrow(1, 1, 3), in[1], 1e-6f); },
       {},
       {}});
  return cases;
}

std::vector<CudaCase> index_cases(TestCtx& t) {
  std::vector<CudaCase> cases;
  Tensor ids = t.ints({19, 0, 7, 7, -3, 500, 16});
  for (DType type : weight_types()) {
    int64_t dim = info(type).is_block ? 512 : 77;
    cases.push_back({"embed " + std::string(name(type)),
                     0,
                     {ids, bytes_tensor(t, random_rows(type, 20, dim, 8))},
                     {0},
                     [type, dim](Ctx& c, const Inputs& in) {
                       return embed(c, {{20, dim}, type, Layout::kFile, in[1]}, in[0]);
                     },
                     {},
                     {}});
  }
  cases.push_back({"rows",
                   0,
                   {ids, t.random({20, 333}, 9)},
                   {0},
                   [](Ctx& c, const Inputs& in) { return rows(c, in[1], in[0]); },
                   {},
                   {}});
  return cases;
}

std::vector<CudaCase> linear_cases(TestCtx& t) {
  std::vector<CudaCase> cases;
  unsigned seed = 20;
  for (DType type : weight_types()) {
    cases.push_back(linear_case(t, type, {21, 37, 768, true, false}, seed += 3));
    cases.push_back(linear_case(t, type, {35, 21, 512, false, false}, seed += 3));
    if (info(type).is_block) continue;
    cases.push_back(linear_case(t, type, {6, 5, 77, true, false}, seed += 3));
    cases.push_back(linear_case(t, type, {2, 3, 5, false, false}, seed += 3));
  }
  cases.push_back(linear_case(t, DType::kQ8_0, {9, 17, 64, false, true}, seed += 3));
  cases.push_back(linear_case(t, DType::kQ4_K, {33, 576, 1536, false, false}, seed += 3));
  return cases;
}

}  // namespace hearth
