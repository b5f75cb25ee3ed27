// What is said to fit does fit, by the code that sizes it, and hardly more would.
#include "planner/report/advise.h"

#include <array>
#include <set>

#include <gtest/gtest.h>

#include "core/base/units.h"
#include "formats/direct/direct_reader.h"
#include "governor/budget/budget.h"
#include "models/testing/tiny_model.h"
#include "planner/catalogue/catalogue.h"
#include "planner/catalogue/synthetic.h"
#include "planner/measure/language.h"
#include "planner/measure/picture.h"

namespace hearth::planner {
namespace {

Error refused(int64_t needed, int64_t budget_bytes) {
  governor::Budget budget("host", budget_bytes);
  return governor::to_error(budget.refusal(needed, "model"));
}

const Value* choice(const Error& error, std::initializer_list<const char*> keys) {
  const Value* all = error.details()->find("would_fit");
  for (size_t i = 0; all && i < all->as_list().size(); ++i) {
    const Value& one = all->as_list()[i];
    bool has_all = one.as_object().size() == keys.size();
    for (const char* key : keys) has_all = has_all && one.find(key);
    if (has_all) return &one;
  }
  return nullptr;
}

class LanguageAdvice : public ::testing::Test {
 protected:
  int64_t bytes(const LoadOptions& o) const {
    return subject_.demand({.context = o.context, .parallel = o.parallel, .max_rows = o.max_rows,
                            .page_tokens = o.page_tokens, .state_dtype = o.state_dtype}).total_bytes();
  }
  LoadOptions options_{.name = "tiny", .path = testing::tiny_path("llama"), .context = 256, .parallel = 8,
                       .max_rows = 16, .page_tokens = 8, .state_dtype = DType::kF32};
  LanguageSubject subject_{"tiny", Checkpoint::open(options_.path), cpu_caps(1)};
};

TEST_F(LanguageAdvice, NamesTheMostSequencesThatFit) {
  const int64_t needed = bytes(options_), room = needed - 1024;
  const Error told = advise(refused(needed, room), options_, cpu_caps(1));
  const Value* parallel = choice(told, {"parallel"});
  ASSERT_TRUE(parallel) << told.message();
  LoadOptions smaller = options_;
  smaller.parallel = parallel->at("parallel").as_int();
  EXPECT_LT(smaller.parallel, 8);
  EXPECT_LE(bytes(smaller), room);
  smaller.parallel += 1;
  EXPECT_GT(bytes(smaller), room) << "one more would not";
  const Value* half = choice(told, {"state_dtype"});
  ASSERT_TRUE(half) << told.message();
  smaller = options_;
  smaller.state_dtype = DType::kF16;
  EXPECT_LE(bytes(smaller), room);
  EXPECT_FALSE(choice(told, {"context"})) << "this model is made for 256 tokens, and fewer than 512 are no use";
  EXPECT_NE(told.message().find("What would fit: "), std::string::npos);
}

TEST_F(LanguageAdvice, SaysNothingWhereNothingHelps) {
  const Error none = advise(refused(bytes(options_), 4096), options_, cpu_caps(1));
  EXPECT_FALSE(none.details()->find("would_fit")) << none.message();
  const Error other(Code::kNoMemory, "no numbers");
  EXPECT_EQ(advise(other, options_, cpu_caps(1)).message(), "no numbers");
  LoadOptions gone = options_;
  gone.path = "/nowhere/model.gguf";
  EXPECT_EQ(advise(refused(1 * GiB, 64 * MiB), gone, cpu_caps(1)).message(), refused(1 * GiB, 64 * MiB).message());
}

// By shapes of the catalogue, whose checkpoint has no file: the choices themselves.
TEST(Advice, FindsTheLongestContext) {
  const auto subject = Catalogue::built_in().subject("qwen3-8b", "q4_k_m", cpu_caps(2)).value();
  const Ask ask{.context = 32768, .parallel = 2, .max_rows = 16};
  const int64_t room = subject->demand(ask).total_bytes() - GiB;
  Patience first, second;
  const auto choices = smaller_language(*subject, ask, room, first);
  ASSERT_FALSE(choices.empty());
  Ask longest = ask;
  longest.context = choices[0].change.at("context").as_int();
  EXPECT_EQ(longest.context % ask.page_tokens, 0);
  EXPECT_LE(subject->demand(longest).total_bytes(), room);
  longest.context += ask.page_tokens;
  EXPECT_GT(subject->demand(longest).total_bytes(), room);
  // Half of what the longest context of one sequence takes: neither is enough alone.
  const int64_t tight = subject->demand({.context = 1024, .parallel = 1, .max_rows = 16}).total_bytes();
  const auto both = smaller_language(*subject, {.context = 32768, .parallel = 64, .max_rows = 16}, tight, second);
  ASSERT_EQ(both.size(), 1u);
  EXPECT_GE(both[0].change.at("context").as_int(), 512);
}

TEST(Advice, FindsSmallerPictures) {
  const PictureSubject sdxl("sdxl", {synthetic_picture("sdxl", DType::kF16)}, cpu_caps(1));
  const Ask ask{.width = 1024, .height = 1024, .batch = 8};
  Ask two = ask;
  two.batch = 2;
  const int64_t room = sdxl.demand(two).total_bytes();
  Patience first, second, third;
  const auto choices = smaller_picture(sdxl, ask, room, first);
  ASSERT_FALSE(choices.empty());
  const int64_t batch = choices[0].change.at("batch_size").as_int();
  EXPECT_GE(batch, 2);
  Ask more = ask;
  more.batch = batch + 1;
  EXPECT_GT(sdxl.demand(more).total_bytes(), room);

  Ask one = ask;
  one.batch = 1;
  const int64_t tight = sdxl.demand(one).total_bytes() - 1;
  const auto tiled = smaller_picture(sdxl, one, tight, second);
  ASSERT_FALSE(tiled.empty());
  EXPECT_EQ(tiled[0].change.at("vae_tiling").as_string(), "on");
  one.tile = tiled[0].change.at("vae_tile").as_int();
  EXPECT_LE(sdxl.demand(one).total_bytes(), tight);

  Ask small{.width = 256, .height = 192, .batch = 1, .tile = 128};
  const auto size = smaller_picture(sdxl, {.width = 1024, .height = 768, .batch = 1, .tile = 128},
                                    sdxl.demand(small).total_bytes(), third);
  ASSERT_EQ(size.size(), 1u);
  EXPECT_GE(size[0].change.at("width").as_int(), 256);
  EXPECT_GE(size[0].change.at("height").as_int(), 192);
  small.width = size[0].change.at("width").as_int();
  small.height = size[0].change.at("height").as_int();
  EXPECT_LE(sdxl.demand(small).total_bytes(), sdxl.demand({.width = 256, .height = 192, .tile = 128}).total_bytes());
}

// A model whose arena grows with the sequences, with a step in it; how often it is sized anew is counted, as a sizing
// pass is what costs: contexts alone are not one.
class Counted final : public Subject {
 public:
  Counted() { facts_.own_context = 8192; }
  const SubjectFacts& facts() const override { return facts_; }
  Demand demand(const Ask& ask) const override {
    ask.check_is_wanted();
    sized.insert({ask.parallel, ask.batch, static_cast<int>(ask.state_dtype), ask.width, ask.tile});
    const int64_t n = facts_.is_picture ? ask.batch : ask.parallel;
    return {.weights_bytes = 1000, .state_bytes = ask.context, .arena_bytes = each_bytes * n + (n > 100 ? 50'000 : 0)};
  }
  std::vector<Phase> phases(const Ask&) const override { return {}; }

  SubjectFacts facts_;
  int64_t each_bytes = 100;
  mutable std::set<std::array<int64_t, 5>> sized;
};

TEST(Advice, SizesAModelAFewTimesOnly) {
  for (int64_t room : {10'000, 12'345, 60'000, 80'000}) {
    Counted model;
    Patience patience;
    const auto choices = smaller_language(model, {.context = 4096, .parallel = 256, .state_dtype = DType::kF32}, room,
                                          patience);
    ASSERT_FALSE(choices.empty());
    EXPECT_LE(model.sized.size(), 12u) << room;
    const int64_t n = choices.back().change.at("parallel").as_int();
    const int64_t most = room > 65'097 ? (room - 55'096) / 100 : std::min<int64_t>((room - 5096) / 100, 100);
    EXPECT_LE(n, most);
    EXPECT_GE(n, most - 2) << "nearly the most, in " << room;
  }
  Counted pictures;
  pictures.facts_.is_picture = true;
  Patience patience;
  smaller_picture(pictures, {.width = 4096, .height = 4096, .batch = 64}, 900, patience);
  EXPECT_LE(pictures.sized.size(), 12u) << "though nothing fits";
}

// Where a number makes no difference there is no line to guess by.
TEST(Advice, NarrowsWhereSizesAreEqual) {
  Counted model;
  model.each_bytes = 0;
  Patience patience;
  const auto choices = smaller_language(model, {.context = 8192, .parallel = 64}, 100'000, patience);
  ASSERT_FALSE(choices.empty());
  EXPECT_EQ(choices.back().change.at("parallel").as_int(), 63) << "what was asked for fits, and so does one less";
  EXPECT_LE(model.sized.size(), 8u) << "as halves find it";
}

TEST(Advice, EndsWhenNobodyListens) {
  Counted model;
  Patience none([] { return true; });
  EXPECT_TRUE(smaller_language(model, {.context = 4096, .parallel = 256}, 10'000, none).empty());
  EXPECT_TRUE(model.sized.empty());
  int asked = 0;
  Patience short_one([&] { return ++asked > 3; });
  smaller_language(model, {.context = 4096, .parallel = 256}, 10'000, short_one);
  EXPECT_LE(model.sized.size(), 3u);
}

TEST_F(LanguageAdvice, ASizingUnderWayEndsToo) {
  std::stop_source stop;
  stop.request_stop();
  EXPECT_THROW(subject_.demand({.context = 64, .stop = stop.get_token()}), Error);
  const Error told = advise(refused(bytes(options_), bytes(options_) - 1024), options_, cpu_caps(1), stop.get_token());
  EXPECT_FALSE(told.details()->find("would_fit")) << told.message();
}

TEST(Advice, LeavesRoomToReadALargeFileThrough) {
  const PictureFile file = synthetic_picture("sdxl", DType::kF16);
  const PictureSubject sdxl("sdxl", {file}, cpu_caps(1));
  const int64_t one = sdxl.demand({.width = 512, .height = 512}).total_bytes();
  const int64_t ring = ReadOptions{.block_bytes = 4 * MiB, .depth = 2}.ring_bytes();
  const diffuse::PictureNeed need{.file = file, .batch = 2, .width = 512, .height = 512};
  const Error told = advise(refused(one + GiB, one + ring), need, cpu_caps(1));
  const Value* batch = choice(told, {"batch_size"});
  ASSERT_TRUE(batch) << told.message();
  EXPECT_EQ(batch->at("batch_size").as_int(), 1);
  EXPECT_FALSE(choice(advise(refused(one + GiB, one + ring - 1), need, cpu_caps(1)), {"batch_size"}));
}

TEST(Advice, CountsEveryDenoiserThatIsHeld) {
  const PictureFile file = synthetic_picture("sdxl", DType::kF16);
  PictureFile denoiser = file;
  denoiser.text_encoders.clear();
  const int64_t ring = ReadOptions{.block_bytes = 4 * MiB, .depth = 2}.ring_bytes();
  auto bytes = [&](std::vector<PictureFile> files) {
    return PictureSubject("sdxl", std::move(files), cpu_caps(1)).demand({.width = 512, .height = 512}).total_bytes();
  };
  const int64_t one = bytes({file}), two = bytes({file, denoiser});
  EXPECT_GT(two, one + 4 * GiB);
  const diffuse::PictureNeed need{.file = file, .beside = {&file}, .batch = 2, .width = 512, .height = 512};
  EXPECT_FALSE(choice(advise(refused(two + GiB, one + ring), need, cpu_caps(1)), {"batch_size"}));
  EXPECT_TRUE(choice(advise(refused(two + GiB, two + ring), need, cpu_caps(1)), {"batch_size"}));
}

TEST(Advice, CountsWhatCouldLeaveAsRoom) {
  governor::Budget budget("host", 10 * GiB);
  const governor::Lease held = budget.take(8 * GiB, "model other").value();
  budget.set_idle([] { return std::vector<governor::Holding>{{"model other", 8 * GiB}}; });
  EXPECT_EQ(room_of(governor::to_error(budget.refusal(11 * GiB, "x"))), 10 * GiB);
  governor::Refusal machine = budget.refusal(GiB, "x");
  machine.reason = "the machine has 100 MiB";
  EXPECT_EQ(room_of(governor::to_error(machine)), 0) << "not the account's numbers";
  machine.could_leave = {{"model other", GiB}};
  machine.machine_bytes = 100 * MiB;
  EXPECT_EQ(room_of(governor::to_error(machine)), GiB + 100 * MiB) << "the machine's";
}

}  // namespace
}  // namespace hearth::planner
