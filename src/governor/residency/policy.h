// Policy: what leaves memory first. Pure: a table of what is resident goes in, an order comes out. One rule for
// language models and for parts of picture models, so that a large idle model may leave for a picture and the other way
// round.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace hearth::governor {

struct Resident {
  std::string name;
  int64_t bytes = 0;
  double idle_s = 0;      // since its last use
  double reload_s = 0;    // what it took to load it; 0 unknown
  int64_t waiting = 0;    // requests that wait for it
  bool is_busy = false;   // a running request uses it: never leaves
  bool is_pinned = false; // leaves only when everything else was not enough and the machine is in danger
  int64_t unused_bytes = 0;  // of `bytes`: hold nothing, and no running request was promised them
  int64_t cached_bytes = 0;  // likewise, kept to save work later

  bool may_leave() const { return !is_busy && !is_pinned && waiting == 0; }
  int64_t spare_bytes() const { return unused_bytes + cached_bytes; }
};

/// The order in which residents leave, as indices: longest idle for what it costs to bring back, then the larger one.
/// Loads below a second count as one, so that what is cheap to reload goes by its last use alone. Busy ones, those that
/// somebody waits for, and pinned ones are not in it.
std::vector<size_t> leaving_order(std::span<const Resident> residents);

/// What those that stay could give up without leaving.
int64_t spare_of_staying(std::span<const Resident> residents);

/// The fewest of them, in that order, that free `bytes`; empty when all together would not, for then nobody leaves.
std::vector<size_t> choose_leaving(std::span<const Resident> residents, int64_t bytes);

}  // namespace hearth::governor
