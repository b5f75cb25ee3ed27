// Fit: does what is asked for fit a budget, and how much would: the largest context, batch and number of sequences, by
// bisection over the measured functions. Pure.
#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "planner/fit/machine.h"
#include "planner/measure/subject.h"

namespace hearth::planner {

/// One model of a plan and what is asked of it.
struct Want {
  std::shared_ptr<const Subject> subject;
  Ask ask;
};

struct Share {  // one model's part in a plan
  Demand demand;
  int64_t largest_context = 0, largest_parallel = 0;  // language models: the others' demands kept; 0: none
  int64_t largest_batch = 0;                          // picture models
};

struct Fit {
  int64_t budget_bytes = 0, needed_bytes = 0;
  std::vector<Share> shares;  // in the order of the wants
  bool does_fit() const { return needed_bytes <= budget_bytes; }
  int64_t left_bytes() const { return budget_bytes - needed_bytes; }
};

Fit fit(const std::vector<Want>& wants, const Machine& machine);

/// One model alone in `room` bytes.
Share share_of(const Want& want, int64_t room);

/// The largest n in [1, most], a multiple of `step` or `most` itself, for which bytes_at(n), which must not fall with
/// n, is at most `room`; 0 when not even the least fits.
int64_t largest_within(int64_t room, int64_t step, int64_t most, const std::function<int64_t(int64_t)>& bytes_at);

}  // namespace hearth::planner
