// ElasticState: gives pages of a loaded model's state back to the host, with their share of the lease, and takes them
// again. A page is a piece of every layer's keys and of its values, so only where such a piece is whole memory pages of
// the host can it be given back; can_shrink() says so before.
#pragma once
#include "governor/budget/budget.h"
#include "models/lm/state.h"
#include "runtime/state/page_backing.h"

namespace hearth {

class ElasticState final : public PageBacking {
 public:
  /// Host memory, in pieces that are whole memory pages?
  static bool can_shrink(const State& state, Device device);

  /// `state` lies in one Storage that `memory` made; both outlive this.
  ElasticState(governor::LeasedAllocator& memory, const State& state) : memory_(memory), state_(state) {}

  int64_t page_bytes(size_t group) const override;
  void give_back(const GroupPages& pages) override;
  Result<void> take_again(const GroupPages& pages) override;

 private:
  std::vector<governor::ByteRange> ranges_of(const GroupPages& pages) const;
  Storage& storage() const { return *state_.layers.front().k.storage().get(); }

  governor::LeasedAllocator& memory_;
  const State& state_;
};

}  // namespace hearth
