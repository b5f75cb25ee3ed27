// Evictor: makes room in one pool by asking everybody who keeps things in memory for what is idle, and letting go what
// the policy chooses over all of them together. Thread-safe.
#pragma once
#include <functional>
#include <shared_mutex>
#include <string>
#include <vector>

#include "governor/budget/budget.h"
#include "governor/residency/policy.h"

namespace hearth::governor {

/// Keeps things in memory that may leave: models, parts, caches. All functions from any thread.
class Resider {
 public:
  virtual ~Resider() = default;
  virtual std::vector<Resident> residents() const = 0;
  /// Lets `name` go, unless a running request uses it by now: false then.
  virtual bool evict(const std::string& name) = 0;
  /// Waits for what is on its way out; true when there was something.
  virtual bool wait_for_leaving() { return false; }
  /// Gives up what costs little to make again (an arena between two pictures); false when there is nothing.
  virtual bool give_spare() { return false; }
  /// Gives back about `bytes` of the residents' unused memory and, `with_cached`, of what they keep to save work later;
  /// what running requests may need stays, and all of the one called `but`. The bytes given back.
  virtual int64_t shrink(int64_t /*bytes*/, bool /*with_cached*/, const std::string& /*but*/) { return 0; }
};

class Evictor {
 public:
  explicit Evictor(Budget& budget) : budget_(budget) {}
  /// `resider` is removed before it goes; then nobody here uses it any more.
  void add(Resider& resider);
  void remove(Resider& resider);

  /// Lets as much go as `bytes` more need in the budget; false when that changed nothing, so that trying again is
  /// useless. Memory that holds nothing goes first, then who is idle, then what those that stay keep to save work
  /// later. `but`: the one who asks for room, which does not leave for itself.
  bool make_room(int64_t bytes, const std::string& but, const std::string& why);
  /// Lets the one go that is first in order; false when there is none. Pinned ones too if `even_pinned`.
  bool evict_one(const std::string& why, bool even_pinned = false);
  /// As much of what is kept without being used as `bytes`, cached work too; the bytes given back.
  int64_t shrink(int64_t bytes);
  /// What could leave now, in that order, and what those that stay could give up.
  std::vector<Holding> idle() const;

 private:
  struct Seen {
    std::vector<Resident> all;
    std::vector<Resider*> whose;
  };
  Seen look() const;  // mutex_ held
  bool evict(const Seen& seen, size_t index, const std::string& why);
  int64_t shrink_all(int64_t bytes, bool with_cached, const std::string& but);  // mutex_ held

  Budget& budget_;
  mutable std::shared_mutex mutex_;  // shared while residers are asked: they never come back here from that
  std::vector<Resider*> residers_;
};

}  // namespace hearth::governor
