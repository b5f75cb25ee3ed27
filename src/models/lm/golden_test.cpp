// Every architecture against what Hugging Face transformers computed for the same weights, from a Hugging Face folder
// and from a GGUF: embeddings, every block, logits. tests/golden/make_language_models.py makes the files.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "models/testing/tiny_model.h"
#include "ops/test_ctx.h"

namespace hearth {
namespace {

using testing::Golden;
using testing::row_error;
using testing::tiny_path;
using testing::TinyModel;
using testing::TinyOptions;

// Bounds on row_error(), the largest difference in a row over the row's largest value. The attention scores of these
// models reach 20, so that a rounding before the softmax is seen some ten times larger after it.
constexpr double kFloatBound = 2e-5;      // float32 sums in another order
constexpr double kHalfStateBound = 1e-2;  // keys and values rounded to 11 bits
constexpr double kInt8Bound = 0.2;        // activations rounded to int8 where weights are quantised

struct Case {
  const char* name;
  bool is_gguf;
  bool is_quantised;  // exact only once decoded

  std::string path() const { return tiny_path(is_gguf ? std::string(name) + ".gguf" : name); }
};

std::ostream& operator<<(std::ostream& out, const Case& c) { return out << c.name << (c.is_gguf ? "_gguf" : "_hf"); }

constexpr Case kCases[] = {
    {"llama", false, false},
    {"llama", true, false},
    {"llama3_rope", false, false},
    {"llama3_rope", true, false},
    {"llama_linear_rope", false, false},
    {"llama_linear_rope", true, true},
    {"mistral", false, false},
    {"mistral", true, true},
    {"qwen2", false, false},
    {"qwen2", true, false},
    {"qwen3", false, false},
    {"qwen3", true, true},
    {"gemma3", false, false},
    {"gemma3", true, true},
    {"gemma3_scalar", false, false},
};

// Compares a step's intermediates with the golden's; remembers the first that is off.
class Comparer final : public StepObserver {
 public:
  Comparer(const Golden& golden, double bound) : golden_(golden), bound_(bound) {}

  void on_probe(std::string_view name, int index, const Tensor& value) override {
    std::string key = index < 0 ? std::string(name) : fmt::format("{}.{}", name, index);
    ASSERT_TRUE(value.is_contiguous());
    compare(key, {value.data<float>(), static_cast<size_t>(value.numel())});
  }
  void compare(const std::string& key, std::span<const float> got) {
    auto wanted = golden_.rows.find(key);
    ASSERT_NE(wanted, golden_.rows.end()) << "the golden has no " << key;
    double error = row_error(got, wanted->second, std::ssize(golden_.tokens));
    ++n_compared_;
    worst_ = std::max(worst_, error);
    if (error > bound_ && first_difference_.empty()) first_difference_ = fmt::format("{} is off by {:.3g}", key, error);
  }
  const std::string& first_difference() const { return first_difference_; }
  size_t n_compared() const { return n_compared_; }
  double worst() const { return worst_; }

 private:
  const Golden& golden_;
  double bound_;
  std::string first_difference_;
  size_t n_compared_ = 0;
  double worst_ = 0;
};

void expect_golden(const Case& at, const TinyOptions& options, double bound, const std::string& property) {
  const Golden golden = Golden::read(at.name);
  Comparer comparer(golden, bound);
  TinyModel tiny(at.path(), options);
  const TinyModel::Piece piece{0, golden.tokens};
  comparer.compare("logits", tiny.step({&piece, 1}, &comparer));
  EXPECT_EQ(comparer.first_difference(), "") << isa_name(options.isa);
  EXPECT_EQ(comparer.n_compared(), golden.rows.size());
  ::testing::Test::RecordProperty(fmt::format("{}_{}", property, isa_name(options.isa)),
                                  fmt::format("{:.2g}", comparer.worst()));
}

std::string case_name(const ::testing::TestParamInfo<Case>& info) {
  return fmt::format("{}_{}", info.param.name, info.param.is_gguf ? "gguf" : "hf");
}

class GoldenTest : public ::testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Lm, GoldenTest, ::testing::ValuesIn(kCases), case_name);

TEST_P(GoldenTest, EveryBlockMatchesTheReference) {
  for (CpuIsa isa : cpu_levels()) {
    expect_golden(GetParam(), {.isa = isa, .decodes = GetParam().is_quantised}, kFloatBound, "float");
  }
}

TEST_P(GoldenTest, HalfPrecisionStateStaysClose) {
  for (CpuIsa isa : cpu_levels()) {
    expect_golden(GetParam(), {.isa = isa, .state = DType::kF16, .decodes = GetParam().is_quantised}, kHalfStateBound,
                  "f16_state");
  }
}

TEST(GoldenOfQuantised, ProductsStayClose) {
  for (const Case& at : kCases) {
    if (!at.is_quantised) continue;
    SCOPED_TRACE(at.name);
    for (CpuIsa isa : cpu_levels()) expect_golden(at, {.isa = isa}, kInt8Bound, fmt::format("{}_int8", at.name));
  }
}

TEST_P(GoldenTest, ChunkingDoesNotChangeABit) {
  const Golden golden = Golden::read(GetParam().name);
  for (CpuIsa isa : cpu_levels()) {
    for (DType state : {DType::kF32, DType::kF16}) {
      const TinyOptions options{.isa = isa, .state = state};
      const std::vector<float> whole = TinyModel(GetParam().path(), options).feed(golden.tokens, 1000);
      ASSERT_FALSE(std::isnan(whole.back()));
      EXPECT_EQ(TinyModel(GetParam().path(), options).feed(golden.tokens, 7), whole) << isa_name(isa);
      EXPECT_EQ(TinyModel(GetParam().path(), options).feed(golden.tokens, 1), whole) << isa_name(isa);
    }
  }
}

TEST_P(GoldenTest, CompanyDoesNotChangeABit) {
  const Golden golden = Golden::read(GetParam().name);
  const std::span<const int32_t> tokens = golden.tokens;
  const std::vector<int32_t> other(tokens.rbegin(), tokens.rend());
  TinyModel alone(GetParam().path(), {}), among(GetParam().path(), {});
  const std::vector<float> wanted = alone.feed(tokens, 1000);
  const int64_t vocab = among.model().config().vocab;
  std::vector<float> got;
  for (size_t first = 0, n; first < tokens.size(); first += n) {
    n = std::min<size_t>(9, tokens.size() - first);
    const TinyModel::Piece pieces[] = {{1, std::span(other).subspan(first, n)}, {0, tokens.subspan(first, n)}};
    const std::vector<float> logits = among.step(pieces, nullptr, /*padding=*/3);
    got.insert(got.end(), logits.begin() + static_cast<int64_t>(n) * vocab, logits.end());
  }
  EXPECT_EQ(got, wanted);
}

// Shapes of every intermediate, in order.
class ShapeList final : public StepObserver {
 public:
  void on_op(const OpCost& cost) override { lines.push_back(fmt::format("{} {} {}", cost.op, cost.flops, cost.bytes)); }
  void on_probe(std::string_view name, int index, const Tensor& value) override {
    lines.push_back(fmt::format("{} {} {}", name, index, value.shape().text()));
  }
  std::vector<std::string> lines;
};

TEST_P(GoldenTest, MetaSaysWhatARunTakes) {
  const Golden golden = Golden::read(GetParam().name);
  const TinyModel::Piece piece{0, golden.tokens};
  for (CpuIsa isa : cpu_levels()) {
    ShapeList planned, seen;
    TinyModel meta(GetParam().path(), {.isa = isa, .kind = DeviceKind::kMeta});
    const size_t n_logits = meta.step({&piece, 1}, &planned).size();
    // An arena of exactly the peak is enough.
    TinyModel real(GetParam().path(), {.isa = isa, .arena_bytes = meta.arena().peak_bytes()});
    EXPECT_EQ(real.step({&piece, 1}, &seen).size(), n_logits);
    EXPECT_EQ(real.arena().peak_bytes(), meta.arena().peak_bytes());
    EXPECT_EQ(seen.lines, planned.lines);
    EXPECT_GT(planned.lines.size(), golden.rows.size());
    EXPECT_EQ(meta.sized_bytes(), real.sized_bytes());
    EXPECT_EQ(real.bound_bytes(), real.sized_bytes());
  }
}

}  // namespace
}  // namespace hearth
