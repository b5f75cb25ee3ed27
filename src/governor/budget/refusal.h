// Refusal: why a lease was not given, for people and for programs. Plain data; pure functions.
#pragma once
#include <algorithm>
#include <cstdint>
#include <optional>
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
  int64_t others_bytes = 0;          // taken of the pool without a lease, where that is known
  std::vector<Holding> holders;      // largest first
  std::vector<Holding> could_leave;  // idle: it leaves when asked to, or when its time is up
  std::string reason;                // of the machine, when the budget alone would have allowed it
  std::optional<int64_t> machine_bytes;  // what the machine would have given then, where it says so

  /// With a refusal of the machine: its words, and "available_bytes" of its details.
  Refusal because(const Error& why) &&;
  int64_t available_bytes() const {
    const int64_t left = std::max<int64_t>(budget_bytes - leased_bytes, 0);
    return std::min(left, machine_bytes.value_or(left));
  }
};

/// One sentence or two: needed, free, who holds the rest, what to do.
std::string to_text(const Refusal& refusal);
/// {pool, wanted_by, needed_bytes, available_bytes, budget_bytes, reserve_bytes, leased_bytes, others_bytes,
/// holders, could_leave, reason, machine_bytes}
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
