// A real language model on a GPU against the CPU: captured steps equal eager ones bit for bit, tokens agree with the
// CPU's distribution, a steady step allocates nothing, two models interleaved in poisoned lanes change nothing, and the
// leases are what the driver says. Needs a GPU and HEARTH_TEST_SMOLLM2; skipped, with the reason, where one is missing.
#include <gtest/gtest.h>

#include "core/device/cuda.h"

#if defined(HEARTH_CUDA)

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>

#include "core/base/units.h"
#include "runtime/generate/evaluate.h"
#include "runtime/generate/sampler.h"
#include "core/testing/heap_watch.h"

namespace hearth {
namespace {

const char* const kPrompts[] = {
    "The history of the city begins with a small harbour on the northern shore, where fishermen",
    "def fibonacci(n):\n    \"\"\"Return the n-th Fibonacci number.\"\"\"\n",
    "To bake a simple loaf of bread you need flour, water, salt and",
    "The three laws of motion were stated by Isaac Newton. The first law says that",
    "Dear Sir or Madam,\n\nI am writing to ask about the position you advertised last week.",
    "Once upon a time there was a miller who had three sons. When he died he left",
    "Question: Why is the sky blue?\nAnswer:",
    "SELECT name, count(*) FROM orders GROUP BY name HAVING",
    "In the year 1969 two astronauts walked on the Moon for the first time. They",
    "La capitale de la France est Paris. La capitale de l'Allemagne est",
};

// One GPU with its budget, context cost booked first.
struct Gpu {
  Gpu()
      : context_bytes(cuda::initialise(0)), budget("cuda:0", cuda::memory_info(0).free_bytes),
        memory(budget, {DeviceKind::kCuda, 0}), executor({DeviceKind::kCuda, 0}, cuda::caps(0), 4) {}
  int64_t context_bytes;
  governor::Budget budget;
  governor::LeasedAllocator memory;
  Executor executor;
};

class CudaSession : public ::testing::Test {
 protected:
  void SetUp() override {
    if (cuda::device_count() == 0) GTEST_SKIP() << cuda::why_none();
    path_ = std::getenv("HEARTH_TEST_SMOLLM2") ? std::getenv("HEARTH_TEST_SMOLLM2") : "";
    if (path_.empty()) GTEST_SKIP() << "HEARTH_TEST_SMOLLM2 names no model file";
  }
  LoadOptions options(const std::string& name, int64_t parallel = 8) const {
    LoadOptions options;
    options.name = name;
    options.path = path_;
    options.context = 512;
    options.parallel = parallel;
    options.state_tokens = 512 * parallel;
    options.max_rows = 64;
    return options;
  }
  std::string path_;
};

const auto never = [] { return false; };

// `n` sequences of different prompts decoded greedily for `steps` tokens; returns tokens and the last logits.
struct Decoded {
  std::vector<std::vector<int32_t>> tokens;
  std::vector<std::vector<float>> logits;
};

class Decoding {
 public:
  Decoding(LoadedModel& model, int n) : model_(model), scheduler_(model.model().state_spec(), limits(model)) {
    for (int i = 0; i < n; ++i) {
      sequences_.push_back(std::make_unique<Sequence>());
      sequences_.back()->tokens = model.tokenizer().encode(kPrompts[i % std::size(kPrompts)]);
      scheduler_.add(*sequences_.back());
    }
  }
  ~Decoding() {
    for (auto& sequence : sequences_) scheduler_.remove(*sequence);
  }
  void step() {
    std::vector<Scheduler::Piece> pieces = scheduler_.plan();
    model_.step(pieces, WorkClass::kInteractive, never).value();
    scheduler_.commit(pieces);
    int64_t row = 0;
    last_.clear();
    for (const auto& piece : pieces) {
      if (!piece.is_sampled()) continue;
      std::span<const float> logits = model_.buffers().logits_row(row++);
      last_.emplace_back(logits.begin(), logits.end());
      piece.sequence->tokens.push_back(argmax(logits));
    }
  }
  Decoded result() const {
    Decoded out{{}, last_};
    for (const auto& sequence : sequences_) out.tokens.push_back(sequence->tokens);
    return out;
  }

 private:
  static SchedulerLimits limits(LoadedModel& model) {
    SchedulerLimits limits = model.scheduler_limits();
    limits.reuse_prefixes = false;
    return limits;
  }
  LoadedModel& model_;
  Scheduler scheduler_;
  std::vector<std::unique_ptr<Sequence>> sequences_;
  std::vector<std::vector<float>> last_;
};

Decoded decode(LoadedModel& model, int n, int steps) {
  Decoding decoding(model, n);
  for (int i = 0; i < steps; ++i) decoding.step();
  return decoding.result();
}

// A prompt and the model's own greedy continuation, `n` tokens in all.
std::vector<int32_t> continued(LoadedModel& model, const char* prompt, int64_t n) {
  Scheduler scheduler(model.model().state_spec(), model.scheduler_limits());
  Sequence sequence;
  sequence.tokens = model.tokenizer().encode(prompt);
  scheduler.add(sequence);
  while (std::ssize(sequence.tokens) < n) {
    std::vector<Scheduler::Piece> pieces = scheduler.plan();
    model.step(pieces, WorkClass::kInteractive, never).value();
    scheduler.commit(pieces);
    if (pieces[0].is_sampled()) sequence.tokens.push_back(argmax(model.buffers().logits_row(0)));
  }
  scheduler.remove(sequence);
  return sequence.tokens;
}

TEST_F(CudaSession, ReplayedStepsEqualEagerOnesBitForBit) {
  Gpu gpu;
  auto model = LoadedModel::load(options("smollm2"), gpu.executor, gpu.memory);
  for (int n : {1, 2, 4, 8}) {
    model->lane().graphs().set_enabled(false);
    Decoded eager = decode(*model, n, 40);
    model->lane().graphs().set_enabled(true);
    Decoded captured = decode(*model, n, 40);
    Decoded replayed = decode(*model, n, 40);
    EXPECT_GT(model->lane().graphs().replays(), 0u);
    EXPECT_EQ(eager.tokens, captured.tokens) << n << " sequences";
    EXPECT_EQ(eager.tokens, replayed.tokens) << n << " sequences";
    for (size_t i = 0; i < eager.logits.size(); ++i) {
      EXPECT_EQ(0, std::memcmp(eager.logits[i].data(), replayed.logits[i].data(), eager.logits[i].size() * 4))
          << n << " sequences, row " << i;
    }
  }
}

TEST_F(CudaSession, TokensDoNotDependOnTheBatch) {
  Gpu gpu;
  auto model = LoadedModel::load(options("smollm2"), gpu.executor, gpu.memory);
  Decoded together = decode(*model, 8, 40);
  Decoded alone = decode(*model, 1, 40);
  const size_t common = std::min(together.tokens[0].size(), alone.tokens[0].size());
  EXPECT_TRUE(std::equal(alone.tokens[0].begin(), alone.tokens[0].begin() + common, together.tokens[0].begin()));
}

TEST_F(CudaSession, DistributionFollowsTheCpu) {
  Gpu gpu;
  RawAllocator host({DeviceKind::kCpu});
  Executor cpu({DeviceKind::kCpu}, cpu_caps(8), 8);
  auto on_gpu = LoadedModel::load(options("smollm2", 64), gpu.executor, gpu.memory);
  auto on_cpu = LoadedModel::load(options("smollm2", 64), cpu, host);
  LoadOptions exact_options = options("smollm2", 64);
  exact_options.decodes_weights = true;
  exact_options.state_dtype = DType::kF32;
  auto exact = LoadedModel::load(exact_options, cpu, host);
  double kl_cpu = 0, kl_exact = 0;
  int64_t positions = 0;
  for (const char* prompt : kPrompts) {
    std::vector<int32_t> tokens = continued(*on_cpu, prompt, 64);
    std::vector<std::vector<float>> cpu_rows, exact_rows;
    teacher_force(*on_cpu, tokens,
                  [&](int64_t, std::span<const float> l) { cpu_rows.emplace_back(l.begin(), l.end()); });
    teacher_force(*exact, tokens,
                  [&](int64_t, std::span<const float> l) { exact_rows.emplace_back(l.begin(), l.end()); });
    teacher_force(*on_gpu, tokens, [&](int64_t i, std::span<const float> l) {
      kl_cpu += kl_divergence(cpu_rows[i], l);
      kl_exact += kl_divergence(exact_rows[i], l);
      ++positions;
    });
  }
  std::printf("mean KL to the CPU %.6f nats, to float32 %.6f nats over %ld positions\n",
              kl_cpu / static_cast<double>(positions), kl_exact / static_cast<double>(positions), positions);
  EXPECT_EQ(positions, 640);
  EXPECT_LT(kl_cpu / static_cast<double>(positions), 0.01);
  EXPECT_LT(kl_exact / static_cast<double>(positions), 0.001);
}

// What the device's owner thread has taken from the heap so far.
int64_t owner_allocations(Executor& executor) {
  int64_t count = 0;
  executor.run_on_pool([&](ThreadPool&) { count = hearth::testing::thread_allocations(); }).value();
  return count;
}

TEST_F(CudaSession, SteadyStepAllocatesNothingOnHostOrDevice) {
  Gpu gpu;
  auto model = LoadedModel::load(options("smollm2"), gpu.executor, gpu.memory);
  Decoding decoding(*model, 4);
  for (int i = 0; i < 24; ++i) decoding.step();  // all behind position 32, none past 64: one page-table bucket
  const int64_t before = cuda::memory_info(0).free_bytes;
  const int64_t leased = gpu.budget.leased_bytes();
  const int64_t host_before = owner_allocations(gpu.executor);
  for (int i = 0; i < 16; ++i) decoding.step();
  EXPECT_EQ(owner_allocations(gpu.executor), host_before);
  EXPECT_EQ(cuda::memory_info(0).free_bytes, before);
  EXPECT_EQ(gpu.budget.leased_bytes(), leased);
}

TEST_F(CudaSession, LeasesAreWhatTheDriverReportsAndWhatMetaPredicted) {
  Gpu gpu;
  const int64_t free_before = cuda::memory_info(0).free_bytes;
  auto model = LoadedModel::load(options("smollm2"), gpu.executor, gpu.memory);
  EXPECT_EQ(gpu.budget.leased_bytes(), model->sizes().total_bytes()) << "Meta predicts what is leased";
  for (int n : {1, 2, 4, 8}) decode(*model, n, 20);
  const int64_t taken = free_before - cuda::memory_info(0).free_bytes;
  std::printf("context %s, leased %s (graphs %s), driver reports %s\n", format_bytes(gpu.context_bytes).c_str(),
              format_bytes(gpu.budget.leased_bytes()).c_str(),
              format_bytes(model->lane().graphs().driver_bytes()).c_str(), format_bytes(taken).c_str());
  EXPECT_NEAR(static_cast<double>(taken), static_cast<double>(gpu.budget.leased_bytes()),
              0.03 * static_cast<double>(gpu.budget.leased_bytes()));
}

// Two threads drive two models in two lanes with steps of many shapes; released arena memory is overwritten.
TEST_F(CudaSession, InterleavedLanesWithPoisonedMemoryGiveTheSameTokens) {
  Gpu gpu;
  std::unique_ptr<LoadedModel> models[2] = {LoadedModel::load(options("one"), gpu.executor, gpu.memory),
                                            LoadedModel::load(options("two", 4), gpu.executor, gpu.memory)};
  constexpr int kSequences[2] = {3, 2};
  constexpr int kSteps = 500;  // each
  auto run = [&](int m, std::vector<Decoded>& results) {
    std::mt19937 random(static_cast<unsigned>(m));
    for (int done = 0; done < kSteps;) {
      int steps = 1 + static_cast<int>(random() % 40);
      results.push_back(decode(*models[m], 1 + static_cast<int>(random()) % 2 * (kSequences[m] - 1), steps));
      done += steps;
    }
  };
  std::vector<Decoded> expected[2], got[2];
  for (int m = 0; m < 2; ++m) run(m, expected[m]);
  for (auto& model : models) {
    model->lane().graphs().clear();
    model->lane().arena().poison_with([stream = model->lane().stream()](std::byte* data, int64_t bytes) {
      cuda::fill(stream, data, 0xA5, bytes);
    });
  }
  std::thread other([&] { run(1, got[1]); });
  run(0, got[0]);
  other.join();
  for (int m = 0; m < 2; ++m) {
    ASSERT_EQ(got[m].size(), expected[m].size());
    for (size_t i = 0; i < got[m].size(); ++i) EXPECT_EQ(got[m][i].tokens, expected[m][i].tokens) << m << ", run " << i;
  }
  std::printf("%llu steps interleaved\n", static_cast<unsigned long long>(gpu.executor.steps_run()));
}

}  // namespace
}  // namespace hearth

#endif
