// LoadedModel: what sizing says is what is leased, the arena holds the widest step exactly, a steady step takes nothing
// from the heap, and steps of two models interleaved at cuts compute what they compute alone.
#include "runtime/generate/loaded_model.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include "core/base/units.h"
#include "ops/index/copy.h"
#include "runtime/generate/sampler.h"
#include "core/testing/heap_watch.h"
#include "runtime/testing/tiny_runtime.h"

namespace hearth {
namespace {

using testing::TinyRuntime;

constexpr auto kNever = [] { return false; };

// A sequence with pages and all but its last `left` tokens computed; what is in the pages does not matter.
Sequence made_up_sequence(const LoadedModel& model, int64_t length, int64_t left) {
  Sequence sequence;
  for (int64_t i = 0; i < length; ++i) {
    sequence.tokens.push_back(static_cast<int32_t>(i * 31 % model.model().config().vocab));
  }
  sequence.prompt_tokens = length;
  sequence.computed = length - left;
  const int64_t page_tokens = model.scheduler_limits().page_tokens;
  for (int64_t i = 0; i < ceil_div(length, page_tokens); ++i) {
    BlockPages block{};
    for (size_t g = 0; g < model.model().state_spec().groups.size(); ++g) block[g] = 1;
    sequence.pages.push_back(block);
  }
  return sequence;
}

// One step of as many sequences as may run, `rows` rows, each sequence `length` long.
int64_t arena_peak(LoadedModel& model, int64_t rows, int64_t n, int64_t length) {
  std::vector<Sequence> sequences;
  std::vector<Scheduler::Piece> pieces;
  for (int64_t s = 0; s < n; ++s) {
    const int64_t count = rows / n + (s < rows % n ? 1 : 0);
    sequences.push_back(made_up_sequence(model, std::max(length, count), count));
  }
  for (Sequence& sequence : sequences) pieces.push_back({&sequence, sequence.computed, sequence.uncomputed()});
  model.lane().arena().reset_peak();
  model.step(pieces, WorkClass::kInteractive, kNever).value();
  return model.lane().arena().peak_bytes();
}

void expect_sizes_are_true(TinyRuntime& runtime, const LoadOptions& options) {
  ASSERT_EQ(runtime.budget.leased_bytes(), 0);
  {
    auto model = LoadedModel::load(options, runtime.executor, runtime.memory);
    const ModelSizes& sizes = model->sizes();
    EXPECT_EQ(runtime.budget.leased_bytes(), model->held_bytes());
    auto held = [&](const std::string& kind) {
      for (const auto& holding : runtime.budget.holdings()) {
        if (holding.holder == kind + " " + options.name) return holding.bytes;
      }
      return int64_t{-1};
    };
    EXPECT_EQ(held("weights"), sizes.weights_bytes);
    EXPECT_EQ(held("state"), sizes.state_bytes);
    EXPECT_EQ(held("arena"), sizes.arena_bytes);
    EXPECT_EQ(held("batch"), sizes.batch_bytes);
    EXPECT_EQ(held("tokenizer"), model->tokenizer().bytes());

    const SchedulerLimits& limits = model->scheduler_limits();
    std::mt19937 random(5);
    int64_t peak = 0;
    for (int step = 0; step < 40; ++step) {
      const auto n = static_cast<int64_t>(1 + random() % limits.max_running);
      const auto rows = std::max<int64_t>(n, static_cast<int64_t>(1 + random() % limits.max_rows));
      if (rows > limits.max_rows) continue;
      peak = std::max(peak, arena_peak(*model, rows, n, static_cast<int64_t>(1 + random() % limits.context)));
    }
    EXPECT_LE(peak, sizes.arena_bytes);
    const int64_t widest =
        arena_peak(*model, limits.max_rows, std::min(limits.max_running, limits.max_rows), limits.context);
    const int64_t narrowest = arena_peak(*model, 1, 1, limits.context);
    EXPECT_LE(std::max(widest, narrowest), sizes.arena_bytes);
    // Beyond the peak there is room for the logits of every sequence, wherever fragmentation put them, and little else.
    const LmConfig& config = model->model().config();
    const int64_t tail = limits.max_running * row_bytes(DType::kF32, config.vocab + 4 * config.dim) + 64 * KiB;
    EXPECT_LE(sizes.arena_bytes, std::max(widest, narrowest) + tail + std::max(widest, narrowest) / 10 + 8 * KiB);
    EXPECT_EQ(runtime.budget.leased_bytes(), model->held_bytes()) << "steps lease nothing";
  }
  EXPECT_EQ(runtime.budget.leased_bytes(), 0) << "everything is given back";
}

class TinyLoadedModel : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Models, TinyLoadedModel, ::testing::Values("llama", "gemma3"));

TEST_P(TinyLoadedModel, SizesAreExactlyWhatIsLeased) {
  TinyRuntime runtime;
  for (int64_t max_rows : {1, 3, 7, 32, 100}) {
    for (int64_t parallel : {1, 5, 8}) {
      for (DType state : {DType::kF16, DType::kF32}) {
        LoadOptions options = runtime.options(GetParam(), max_rows);
        options.parallel = parallel;
        options.state_dtype = state;
        expect_sizes_are_true(runtime, options);
      }
    }
  }
}

// Real files, where the environment names them.
TEST(LoadedModel, SizesOfRealModelsAreExactlyWhatIsLeased) {
  int tried = 0;
  for (const char* variable : {"HEARTH_TEST_SMOLLM2", "HEARTH_TEST_GEMMA3"}) {
    const char* path = std::getenv(variable);
    if (!path) continue;
    ++tried;
    TinyRuntime runtime(2, 16 * GiB);
    LoadOptions options;
    options.name = variable;
    options.path = path;
    options.context = 512;
    options.max_rows = 64;
    options.parallel = 4;
    expect_sizes_are_true(runtime, options);
  }
  if (tried == 0) GTEST_SKIP() << "HEARTH_TEST_SMOLLM2 and HEARTH_TEST_GEMMA3 name no model file";
}

TEST(LoadedModel, RefusalForLackOfMemoryLeavesNothingBehind) {
  TinyRuntime whole(1);  // scratch space grows with the threads
  const auto model = LoadedModel::load(whole.options("llama"), whole.executor, whole.memory);
  const int64_t needed = model->held_bytes(), text = model->tokenizer().bytes();
  for (int64_t missing : {int64_t{1}, needed / 4, needed / 2, needed - 1}) {
    TinyRuntime runtime(1, needed - missing);
    int asked = 0;
    try {
      LoadedModel::load(runtime.options("llama"), runtime.executor, runtime.memory, [&](int64_t bytes) {
        const int64_t held = runtime.budget.leased_bytes();  // while others are asked for room
        EXPECT_EQ(bytes, needed - held);
        EXPECT_TRUE(held == 0 || held == text) << held;
        return ++asked < 3;
      });
      ADD_FAILURE() << "loaded into too small a budget";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::kNoMemory);
    }
    EXPECT_EQ(asked, 3);
    EXPECT_EQ(runtime.budget.leased_bytes(), 0);
  }
}

// The machine has room for the weights, or for the rest, not for both: that shows before a byte is read.
TEST(LoadedModel, MakesRoomInTheMachineBeforeItReads) {
  TinyRuntime runtime(1);
  const ModelSizes sizes =
      LoadedModel::load(runtime.options("llama"), runtime.executor, runtime.memory)->sizes();
  governor::Budget budget("cpu", 64 * MiB);
  int64_t room = sizes.weights_bytes + sizes.state_bytes / 2;
  governor::LeasedAllocator memory(budget, {DeviceKind::kCpu}, [&](int64_t bytes) -> Result<void> {
    if (bytes <= room - budget.untouched_bytes()) return {};
    return unexpected(Code::kNoMemory, "the machine has no room");
  });
  int asked = 0;
  bool has_read = false;
  auto make_room = [&](int64_t) {
    EXPECT_FALSE(has_read);
    EXPECT_LT(budget.leased_bytes(), sizes.weights_bytes) << "the tables of text at most";
    room = 64 * MiB;
    return ++asked == 1;
  };
  auto model = LoadedModel::load(runtime.options("llama"), runtime.executor, memory, make_room,
                                 [&](const LoadProgress&) { has_read = true; });
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(has_read);
}

// Stopped before the first byte and amid the weights.
TEST(LoadedModel, AStoppedLoadLeavesNothingBehind) {
  for (int reports_before_stop : {0, 1, 3}) {
    TinyRuntime runtime(1);
    std::stop_source stop;
    int reports = 0;
    auto count = [&](const LoadProgress&) {
      if (++reports == reports_before_stop) stop.request_stop();
    };
    if (reports_before_stop == 0) stop.request_stop();
    try {
      LoadedModel::load(runtime.options("llama"), runtime.executor, runtime.memory, {}, count, stop.get_token());
      ADD_FAILURE() << "it was loaded to its end";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), Code::kCancelled) << e.message();
    }
    EXPECT_EQ(reports, reports_before_stop);
    EXPECT_EQ(runtime.budget.leased_bytes(), 0);
  }
}

// What has no room now may have it when another model has loaded.
TEST(LoadedModel, StepsAreCapturedAgainAfterAWhileWithoutRoom) {
  TinyRuntime runtime(1);
  auto model = LoadedModel::load(runtime.options("llama"), runtime.executor, runtime.memory);
  StepGraphs& graphs = model->lane().graphs();
  Sequence sequence = made_up_sequence(*model, 20, 1);
  const std::vector<Scheduler::Piece> pieces{{&sequence, sequence.computed, sequence.uncomputed()}};
  auto run = [&](int64_t captured_bytes) {  // as if the driver had taken that many in the step
    auto at_a_cut = [&] {
      if (captured_bytes > 0) graphs.add_driver_bytes(graphs.entry(1), std::exchange(captured_bytes, 0));
      return false;
    };
    model->step(pieces, WorkClass::kInteractive, at_a_cut).value();
  };
  std::optional<governor::Lease> others = *runtime.budget.take(runtime.budget.free_bytes(), "loading another");
  run(MiB);
  EXPECT_FALSE(graphs.is_enabled());
  EXPECT_EQ(graphs.driver_bytes(), 0);
  others.reset();
  int steps = 0;
  while (!graphs.is_enabled() && ++steps < 5000) run(0);
  EXPECT_LT(steps, 5000);
  EXPECT_GT(steps, 100) << "not tried at once again";
  run(MiB);
  EXPECT_TRUE(graphs.is_enabled());
  EXPECT_EQ(runtime.budget.leased_bytes(), model->held_bytes() + MiB);
}

// One thread, so that everything the step does happens on the thread that counts.
TEST_P(TinyLoadedModel, ASteadyStepTakesNothingFromTheHeap) {
  TinyRuntime runtime(1);
  auto model = LoadedModel::load(runtime.options(GetParam()), runtime.executor, runtime.memory);
  for (auto [rows, n] : {std::pair<int64_t, int64_t>{1, 1}, {4, 4}, {8, 8}, {32, 2}}) {
    std::vector<Sequence> sequences;
    std::vector<Scheduler::Piece> pieces;
    for (int64_t s = 0; s < n; ++s) sequences.push_back(made_up_sequence(*model, 100, rows / n));
    for (Sequence& sequence : sequences) pieces.push_back({&sequence, sequence.computed, sequence.uncomputed()});
    for (int run = 0; run < 3; ++run) {
      const Batch batch = model->buffers().fill(pieces, nullptr);
      int64_t allocations = -1;
      auto body = [&](Ctx& c) {
        testing::HeapWatch scope;
        copy_into(c, model->model().forward(c, batch, model->state()), model->buffers().logits());
        allocations = scope.allocations();
      };
      model->executor().run({.lane = model->lane(), .body = body, .is_cancelled = kNever}).value();
      EXPECT_TRUE(run == 0 || allocations == 0) << allocations << " in " << rows << " rows of " << n << " sequences";
    }
  }
}

// At every cut the other script's thread gets a chance to hand in its step, however busy the machine is.
constexpr auto kLetOthersIn = [] {
  for (int i = 0; i < 10; ++i) std::this_thread::yield();
  return false;
};

// A script of steps of many shapes over one model: sequences come, are prefilled and decoded greedily, and go. Returns
// a hash of every step's logits.
std::vector<uint64_t> run_script(LoadedModel& model, unsigned seed, int steps) {
  std::mt19937 random(seed);
  Scheduler scheduler(model.model().state_spec(), model.scheduler_limits());
  std::vector<std::unique_ptr<Sequence>> alive;
  std::vector<uint64_t> hashes;
  const int vocab = model.model().config().vocab;
  while (std::ssize(hashes) < steps) {
    while (std::ssize(alive) < 3 || random() % 4 == 0) {
      alive.push_back(std::make_unique<Sequence>());
      const auto length = 1 + random() % 60;
      for (unsigned i = 0; i < length; ++i) alive.back()->tokens.push_back(static_cast<int32_t>(random() % vocab));
      alive.back()->prompt_tokens = std::ssize(alive.back()->tokens);
      scheduler.add(*alive.back());
    }
    std::vector<Scheduler::Piece> pieces = scheduler.plan();
    const auto work_class = static_cast<WorkClass>(random() % 3);
    model.step(pieces, work_class, kLetOthersIn).value();
    scheduler.commit(pieces);
    uint64_t hash = 1469598103934665603ull;
    int64_t row = 0;
    for (const auto& piece : pieces) {
      if (!piece.is_sampled()) continue;
      std::span<const float> logits = model.buffers().logits_row(row++);
      for (float logit : logits) hash = (hash ^ std::bit_cast<uint32_t>(logit)) * 1099511628211ull;
      piece.sequence->tokens.push_back(argmax(logits));
    }
    hashes.push_back(hash);
    for (auto& sequence : alive) {
      if (std::ssize(sequence->tokens) < sequence->prompt_tokens + 12 && random() % 30 != 0) continue;
      scheduler.remove(*sequence);
      sequence.reset();
    }
    std::erase(alive, nullptr);
  }
  for (auto& sequence : alive) scheduler.remove(*sequence);
  return hashes;
}

TEST(LoadedModel, InterleavedStepsOfTwoModelsComputeWhatTheyComputeAlone) {
  constexpr int kSteps = 1000;
  TinyRuntime runtime(1);
  auto load = [&](const char* architecture) {
    auto model = LoadedModel::load(runtime.options(architecture), runtime.executor, runtime.memory);
    model->lane().arena().poison_on_release(true);
    return model;
  };
  auto llama = load("llama"), gemma = load("gemma3");
  const std::vector<uint64_t> llama_alone = run_script(*llama, 1, kSteps), gemma_alone = run_script(*gemma, 2, kSteps);
  ASSERT_EQ(runtime.executor.steps_run_at_cuts(), 0u);

  std::vector<uint64_t> llama_beside, gemma_beside;
  std::thread other([&] { llama_beside = run_script(*llama, 1, kSteps); });
  gemma_beside = run_script(*gemma, 2, kSteps);
  other.join();
  EXPECT_EQ(llama_beside, llama_alone);
  EXPECT_EQ(gemma_beside, gemma_alone);
  EXPECT_GT(runtime.executor.steps_run_at_cuts(), 0u) << "steps ran inside one another";
}

}  // namespace
}  // namespace hearth
