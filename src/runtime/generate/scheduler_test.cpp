// Scheduler: decoding first, chunks, prefix reuse, preemption without deadlock, windows freed, no page leaked.
#include "runtime/generate/scheduler.h"

#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <numeric>
#include <random>
#include <set>

#include "core/base/units.h"

namespace hearth {
namespace {

StateSpec full_spec() {
  return {.groups = {{StateKind::kFullPages, 0}}, .group_of_layer = {0}, .kv_heads = 1, .head_dim = 8};
}

SchedulerLimits limits(int64_t pages, int64_t rows = 16, int64_t running = 4) {
  return {.max_rows = rows, .max_running = running, .page_tokens = 4, .context = 64, .pages = {pages + 1}};
}

std::unique_ptr<Sequence> sequence(int64_t n, int32_t first = 0) {
  auto s = std::make_unique<Sequence>();
  s->tokens.resize(n);
  std::iota(s->tokens.begin(), s->tokens.end(), first);
  s->prompt_tokens = n;
  return s;
}

// What the worker does with a plan: compute, then one new token for every sampled piece.
void run(Scheduler& scheduler, const std::vector<Scheduler::Piece>& pieces) {
  std::vector<Sequence*> sampled;
  for (const auto& piece : pieces) {
    if (piece.is_sampled()) sampled.push_back(piece.sequence);
  }
  scheduler.commit(pieces);
  for (Sequence* s : sampled) s->tokens.push_back(static_cast<int32_t>(s->tokens.size() * 7));
}

TEST(Scheduler, PromptsAreChunkedAndDecodingGoesFirst) {
  Scheduler scheduler(full_spec(), limits(32, 8));
  auto a = sequence(3), b = sequence(20, 100);
  scheduler.add(*a);
  scheduler.add(*b);
  auto first = scheduler.plan();
  ASSERT_EQ(first.size(), 2u);
  EXPECT_EQ(first[0].count, 3);
  EXPECT_TRUE(first[0].is_sampled());
  EXPECT_EQ(first[1].count, 5);
  EXPECT_FALSE(first[1].is_sampled());
  run(scheduler, first);
  auto second = scheduler.plan();
  ASSERT_EQ(second.size(), 2u);
  EXPECT_EQ(second[0].sequence, a.get()) << "one row of the decoding sequence, then the prompt goes on";
  EXPECT_EQ(second[0].count, 1);
  EXPECT_EQ(second[1].count, 7);
}

TEST(Scheduler, ASecondRequestStartsBehindTheCommonPrefix) {
  Scheduler scheduler(full_spec(), limits(32));
  auto a = sequence(10);
  scheduler.add(*a);
  run(scheduler, scheduler.plan());
  scheduler.remove(*a);
  auto b = sequence(10);
  scheduler.add(*b);
  auto pieces = scheduler.plan();
  ASSERT_EQ(pieces.size(), 1u);
  EXPECT_EQ(pieces[0].first, 8);
  EXPECT_EQ(b->cached_tokens, 8);
  scheduler.remove(*b);
}

TEST(Scheduler, ASiblingWaitsForTheSharedPrompt) {
  Scheduler scheduler(full_spec(), limits(32, 8));
  auto a = sequence(12), b = sequence(12);
  b->waits_for = a.get();
  scheduler.add(*a);
  scheduler.add(*b);
  EXPECT_EQ(scheduler.plan().size(), 1u);
  scheduler.commit(std::vector<Scheduler::Piece>{{a.get(), 0, 8}});
  scheduler.remove(*a);
  auto pieces = scheduler.plan();
  ASSERT_EQ(pieces.size(), 1u) << "a sibling that went away is not waited for";
  EXPECT_EQ(pieces[0].first, 8);
  scheduler.remove(*b);
}

TEST(Scheduler, TheYoungestGivesWayAndComesBack) {
  Scheduler scheduler(full_spec(), limits(6, 16));
  auto old = sequence(12), young = sequence(11, 100);
  scheduler.add(*old);
  scheduler.add(*young);
  run(scheduler, scheduler.plan());  // 12 + 4 rows: 3 pages + 1
  while (scheduler.preemptions() == 0) run(scheduler, scheduler.plan());
  EXPECT_EQ(young->preemptions, 1);
  EXPECT_EQ(old->preemptions, 0);
  EXPECT_EQ(young->computed, 0);
  scheduler.remove(*old);
  run(scheduler, scheduler.plan());
  EXPECT_GT(young->computed, 0) << "it goes on when there is room";
  scheduler.remove(*young);
  scheduler.drop_cache();
  EXPECT_EQ(scheduler.pages().free, scheduler.pages().total);
}

// It waits until there is room instead of coming and going every step, and the cache is not emptied for its attempts.
TEST(Scheduler, AWaitingSequenceIsNotPreemptedAgainAndAgain) {
  Scheduler scheduler(full_spec(), limits(8, 16));
  auto old = sequence(12), young = sequence(11, 100);
  scheduler.add(*old);
  scheduler.add(*young);
  while (scheduler.preemptions() == 0) run(scheduler, scheduler.plan());
  while (std::ssize(old->tokens) < 30) run(scheduler, scheduler.plan());
  EXPECT_EQ(scheduler.preemptions(), 1u);
  EXPECT_EQ(scheduler.waiting(), 1);
  scheduler.remove(*old);
  run(scheduler, scheduler.plan());
  EXPECT_GT(young->computed, 0);
  scheduler.remove(*young);
}

TEST(Scheduler, PagesBehindAWindowAreFreed) {
  StateSpec spec{.groups = {{StateKind::kWindowPages, 8}}, .group_of_layer = {0}, .kv_heads = 1, .head_dim = 8};
  SchedulerLimits l = limits(8, 4);
  l.reuse_prefixes = false;
  Scheduler scheduler(spec, l);
  auto a = sequence(40);
  scheduler.add(*a);
  int64_t most_used = 0;
  while (a->uncomputed() > 0) {
    scheduler.commit(scheduler.plan());
    most_used = std::max(most_used, scheduler.pages().total - scheduler.pages().free);
  }
  EXPECT_LE(most_used, 4) << "a window of two pages, the page being written and one that straddles";
  scheduler.remove(*a);
  EXPECT_EQ(scheduler.pages().free, scheduler.pages().total);
}

// Random arrivals, cancellations and lengths in far too few pages: every sequence that stays ends, nothing leaks.
TEST(Scheduler, RandomTrafficInTooFewPagesNeverDeadlocksOrLeaks) {
  for (unsigned seed = 0; seed < 30; ++seed) {
    std::mt19937 random(seed);
    Scheduler scheduler(full_spec(), limits(17, 12, 6));
    std::vector<std::unique_ptr<Sequence>> alive;
    int started = 0, ended = 0;
    for (int step = 0; step < 4000 && (started < 60 || !alive.empty()); ++step) {
      if (started < 60 && random() % 3 == 0) {
        alive.push_back(sequence(1 + random() % 40, static_cast<int32_t>(random() % 3) * 1000));
        scheduler.add(*alive.back());
        ++started;
      }
      std::vector<Scheduler::Piece> pieces = scheduler.plan();
      ASSERT_TRUE(!pieces.empty() || scheduler.is_idle()) << "work waits but nothing is planned";
      for (const auto& piece : pieces) {
        ASSERT_GE(std::ssize(piece.sequence->pages) * 4, piece.first + piece.count);
      }
      run(scheduler, pieces);
      for (auto& s : alive) {
        bool is_over =
            std::ssize(s->tokens) >= 60 || std::ssize(s->tokens) > s->prompt_tokens + 15 || random() % 200 == 0;
        if (!is_over) continue;
        scheduler.remove(*s);
        s.reset();
        ++ended;
      }
      std::erase(alive, nullptr);
    }
    EXPECT_EQ(ended, 60) << "seed " << seed;
    scheduler.drop_cache();
    EXPECT_EQ(scheduler.pages().free, scheduler.pages().total) << "seed " << seed;
  }
}

TEST(Scheduler, ScoredPromptsShareTheRowsOfLogits) {
  const SchedulerLimits few = limits(64, 16, 4);
  Scheduler scheduler(full_spec(), few);
  auto a = sequence(10), b = sequence(10), c = sequence(10, 100), d = sequence(3, 200);
  a->scores_prompt = b->scores_prompt = c->scores_prompt = true;
  for (Sequence* s : {a.get(), b.get(), c.get(), d.get()}) scheduler.add(*s);
  std::map<const Sequence*, int64_t> scored;
  auto is_reading = [](const auto& s) { return s->computed < s->prompt_tokens; };
  for (int step = 0; step < 60 && (is_reading(a) || is_reading(b) || is_reading(c)); ++step) {
    auto pieces = scheduler.plan();
    int64_t rows = 0;
    for (const auto& piece : pieces) {
      rows += piece.kept_rows();
      if (piece.keeps_all) scored[piece.sequence] += piece.count;
    }
    ASSERT_GT(rows, 0);
    ASSERT_LE(rows, few.max_running);
    run(scheduler, pieces);
  }
  for (Sequence* s : {a.get(), b.get(), c.get()}) {
    EXPECT_EQ(scored[s], 10) << "every prompt token once, none from the prefix cache";
    EXPECT_EQ(s->cached_tokens, 0);
  }
  EXPECT_EQ(scored.count(d.get()), 0u);
  for (Sequence* s : {a.get(), b.get(), c.get(), d.get()}) scheduler.remove(*s);
}

// Pages that are given back and taken again; `is_full`: nobody gets them.
class CountedPages final : public PageBacking {
 public:
  explicit CountedPages(int64_t bytes = 100) : bytes_(bytes) {}
  int64_t page_bytes(size_t) const override { return bytes_; }
  void give_back(const GroupPages& pages) override {
    for (Page page : pages[0]) EXPECT_TRUE(away.insert(page).second);
  }
  Result<void> take_again(const GroupPages& pages) override {
    if (is_full) return unexpected(Code::kNoMemory, "full");
    if (meanwhile) meanwhile();
    for (Page page : pages[0]) EXPECT_EQ(away.erase(page), 1u);
    return {};
  }
  std::set<Page> away;
  bool is_full = false;
  std::function<void()> meanwhile;  // what another thread does while pages are taken

 private:
  const int64_t bytes_;
};

TEST(SchedulerMemory, GivesBackWhatHoldsNothingThenWhatIsKeptForItsPrefix) {
  CountedPages memory;
  Scheduler scheduler(full_spec(), limits(20), &memory);
  auto a = sequence(13);
  scheduler.add(*a);
  run(scheduler, scheduler.plan());
  scheduler.remove(*a);
  EXPECT_EQ(scheduler.spare().unused_bytes, 1700);
  EXPECT_EQ(scheduler.spare().cached_bytes, 300);
  EXPECT_EQ(scheduler.shrink(450, false), 500) << "whole pages, as many as it takes";
  EXPECT_EQ(memory.away, (std::set<Page>{16, 17, 18, 19, 20})) << "one run of memory";
  EXPECT_EQ(scheduler.shrink(1'000'000, false), 1200);
  EXPECT_EQ(scheduler.pages().cached, 3);
  EXPECT_EQ(scheduler.shrink(100, true), 100) << "the end of the prefix first";
  EXPECT_EQ(scheduler.pages().cached, 2);
  EXPECT_EQ(scheduler.shrink(1'000'000, true), 200);
  EXPECT_EQ(scheduler.pages().total, 0);
  EXPECT_EQ(scheduler.away_bytes(), 2000);
}

TEST(SchedulerMemory, WhatRunningWorkWasPromisedStays) {
  CountedPages memory;
  Scheduler scheduler(full_spec(), limits(20), &memory);
  auto a = sequence(5);
  a->most_tokens = 24;  // six pages
  Sequence* const one[] = {a.get()};
  ASSERT_TRUE(scheduler.claim(one));
  EXPECT_EQ(scheduler.shrink(1'000'000, true), 1400);
  scheduler.add(*a);
  for (int step = 0; step < 19; ++step) {
    const auto pieces = scheduler.plan();
    ASSERT_EQ(pieces.size(), 1u);
    run(scheduler, pieces);
    EXPECT_EQ(scheduler.shrink(1'000'000, true), 0) << "step " << step;
    for (const BlockPages& block : a->pages) EXPECT_FALSE(memory.away.count(block[0]));
  }
  EXPECT_EQ(std::ssize(a->tokens), 24);
  scheduler.remove(*a);
  EXPECT_EQ(scheduler.shrink(1'000'000, true), 600);
}

TEST(SchedulerMemory, PagesOnTheirWayBackStandInForNoPromise) {
  CountedPages memory;
  Scheduler scheduler(full_spec(), limits(20), &memory);
  scheduler.shrink(1'000'000, true);
  int64_t given = 0;
  memory.meanwhile = [&] { given += scheduler.shrink(1'000'000, true); };
  auto a = sequence(5);
  a->most_tokens = 24;
  Sequence* const one[] = {a.get()};
  ASSERT_TRUE(scheduler.claim(one));
  EXPECT_EQ(given, 0) << "six pages are promised, and no other is here yet";
  EXPECT_EQ(scheduler.pages().free, 20);
  scheduler.remove(*a);
}

TEST(SchedulerMemory, NoStepWaitsForMoreThanASliceToGo) {
  CountedPages memory(100 * MiB);
  Scheduler scheduler(full_spec(), limits(20), &memory);
  EXPECT_EQ(scheduler.shrink(2000 * MiB, true), 300 * MiB) << "whole pages of 256 MiB";
  EXPECT_EQ(scheduler.shrink(100 * MiB, true), 100 * MiB);
  EXPECT_EQ(std::ssize(memory.away), 4);
}

// Others' steps wait while pages are taken.
TEST(SchedulerMemory, FewPagesComeBackBesideOthersThatRun) {
  CountedPages memory(8 * MiB);
  Scheduler scheduler(full_spec(), limits(200), &memory);
  while (scheduler.shrink(2000 * MiB, true) > 0) {
  }
  auto here = [&] { return 200 - std::ssize(memory.away); };
  ASSERT_EQ(here(), 0);
  auto a = sequence(5), b = sequence(9, 100);
  a->most_tokens = b->most_tokens = 24;  // six pages each
  Sequence *const first[] = {a.get()}, *const second[] = {b.get()};
  ASSERT_TRUE(scheduler.claim(first));
  EXPECT_EQ(here(), 6 + 256 / 8) << "nobody waits";
  scheduler.add(*a);
  ASSERT_EQ(scheduler.plan().size(), 1u);
  while (scheduler.shrink(2000 * MiB, true) > 0) {
  }
  ASSERT_EQ(here(), 6) << "what the first was promised";
  ASSERT_TRUE(scheduler.claim(second));
  EXPECT_EQ(here(), 6 + 6 + 32 / 8);
  scheduler.remove(*a);
  scheduler.remove(*b);
}

TEST(SchedulerMemory, PagesThatWentAreTakenAgainBeforeTheyAreUsed) {
  CountedPages memory;
  Scheduler scheduler(full_spec(), limits(20), &memory);
  scheduler.shrink(1'000'000, true);
  auto a = sequence(5), b = sequence(9, 100);
  a->most_tokens = b->most_tokens = 24;
  Sequence* const both[] = {a.get(), b.get()};
  memory.is_full = true;
  EXPECT_EQ(scheduler.claim(both).error().code(), Code::kNoMemory);
  EXPECT_EQ(std::ssize(memory.away), 20);
  memory.is_full = false;
  EXPECT_EQ(scheduler.shrink(1'000'000, true), 0) << "a claim that was refused promises nothing";
  ASSERT_TRUE(scheduler.claim(both));
  EXPECT_EQ(std::ssize(memory.away), 0) << "the rest comes back too while there is room";
  EXPECT_EQ(scheduler.shrink(1'000'000, true), 800);
  scheduler.add(*a);
  scheduler.add(*b);
  run(scheduler, scheduler.plan());
  for (const Sequence* s : both) {
    for (const BlockPages& block : s->pages) EXPECT_FALSE(memory.away.count(block[0]));
  }
  scheduler.remove(*a);
  scheduler.remove(*b);
  scheduler.drop_cache();
  EXPECT_EQ(scheduler.pages().free, scheduler.pages().total);
}

}  // namespace
}  // namespace hearth
