#include "planner/fit/fit.h"

#include <algorithm>

#include "core/base/units.h"

namespace hearth::planner {
namespace {

// As many as a configuration and a request may ask for.
constexpr int64_t kMostParallel = 1024, kMostBatch = 4096;

}  // namespace

int64_t largest_within(int64_t room, int64_t step, int64_t most, const std::function<int64_t(int64_t)>& bytes_at) {
  if (most <= 0) return 0;
  if (bytes_at(most) <= room) return most;
  int64_t fits = 0, too_many = ceil_div(most, step);  // in steps; zero always fits
  while (too_many - fits > 1) {
    const int64_t middle = fits + (too_many - fits) / 2;
    (bytes_at(middle * step) <= room ? fits : too_many) = middle;
  }
  return fits * step;
}

Share share_of(const Want& want, int64_t room) {
  const SubjectFacts& facts = want.subject->facts();
  Share share{.demand = want.subject->demand(want.ask)};
  auto bytes_with = [&](int64_t Ask::*field) {
    return [&want, field](int64_t n) {
      Ask ask = want.ask;
      ask.*field = n;
      return want.subject->demand(ask).total_bytes();
    };
  };
  if (facts.is_picture) {
    share.largest_batch = largest_within(room, 1, kMostBatch, bytes_with(&Ask::batch));
    return share;
  }
  share.largest_context = largest_within(room, want.ask.page_tokens, facts.own_context, bytes_with(&Ask::context));
  // Sequences that each get the whole context: state for all of them, not for two.
  share.largest_parallel = largest_within(room, 1, kMostParallel, [&](int64_t n) {
    Ask one = want.ask;
    one.parallel = 1;
    Ask many = want.ask;
    many.parallel = n;
    const Demand demand = want.subject->demand(many);
    return demand.total_bytes() - demand.state_bytes + n * want.subject->demand(one).state_bytes;
  });
  return share;
}

Fit fit(const std::vector<Want>& wants, const Machine& machine) {
  Fit out{.budget_bytes = machine.budget_bytes()};
  std::vector<int64_t> needs;
  for (const Want& want : wants) {
    needs.push_back(want.subject->demand(want.ask).total_bytes());
    out.needed_bytes += needs.back();
  }
  for (size_t i = 0; i < wants.size(); ++i) {
    const int64_t others = out.needed_bytes - needs[i];
    out.shares.push_back(share_of(wants[i], std::max<int64_t>(out.budget_bytes - others, 0)));
  }
  return out;
}

}  // namespace hearth::planner
