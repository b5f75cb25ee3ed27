// Refusal: why a lease was not given, for people and for programs. Plain data; pure functions.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/error.h"
#include "core/base/value.h"

namespace hearth::governor {

struct Holding {
  std::string holder;
  int64_t bytes = 0;
};

struct Refusal {
  std::string pool, wanted_by;
  int64_t needed_bytes = 0;
  int64_t budget_bytes = 0, leased_bytes = 0, reserve_bytes = 0;
  std::vector<Holding> holders;      // largest first
  std::vector<Holding> could_leave;  // idle: it leaves when asked to, or when its time is up
  std::string reason;                // of the machine, when the budget alone would have allowed it
  int64_t available_bytes() const { return budget_bytes > leased_bytes ? budget_bytes - leased_bytes : 0; }
};

/// One sentence or two: needed, free, who holds the rest, what to do.
std::string to_text(const Refusal& refusal);
/// {pool, wanted_by, needed_bytes, available_bytes, budget_bytes, reserve_bytes, leased_bytes, holders, could_leave,
/// reason}
Value to_value(const Refusal& refusal);
/// kNoMemory with both.
Error to_error(const Refusal& refusal);

/// A smaller choice that would fit: `{"context": 4096}`, with a sentence about it.
struct SmallerChoice {
  Value change;
  std::string text;
};
/// `refusal` with what would fit said in words and under "would_fit".
Error with_choices(const Error& refusal, const std::vector<SmallerChoice>& choices);

}  // namespace hearth::governor
