#include "runtime/state/elastic_state.h"

#include <unistd.h>

#include <algorithm>

namespace hearth {
namespace {

int64_t piece_bytes(const Tensor& plane) { return plane.bytes() / plane.dim(0); }

// Calls `use` with the first page and the count of every run of consecutive pages.
template <class Use>
void for_each_run(const std::vector<Page>& pages, Use&& use) {
  for (size_t begin = 0; begin < pages.size();) {
    size_t end = begin + 1;
    while (end < pages.size() && pages[end] == pages[end - 1] + 1) ++end;
    use(pages[begin], static_cast<int64_t>(end - begin));
    begin = end;
  }
}

}  // namespace

bool ElasticState::can_shrink(const State& state, Device device) {
  if (device.kind != DeviceKind::kCpu || state.layers.empty()) return false;
  const int64_t granule = ::sysconf(_SC_PAGESIZE);
  const Storage* first = state.layers.front().k.storage().get();
  auto is_whole = [&](const Tensor& plane) {
    return plane.storage().get() == first && piece_bytes(plane) % granule == 0 &&
           (plane.raw() - first->data()) % granule == 0;
  };
  return std::all_of(state.layers.begin(), state.layers.end(),
                     [&](const KvPages& layer) { return is_whole(layer.k) && is_whole(layer.v); });
}

int64_t ElasticState::page_bytes(size_t group) const {
  int64_t bytes = 0;
  for (size_t i = 0; i < state_.layers.size(); ++i) {
    if (state_.group_of_layer[i] != static_cast<int>(group)) continue;
    bytes += piece_bytes(state_.layers[i].k) + piece_bytes(state_.layers[i].v);
  }
  return bytes;
}

std::vector<governor::ByteRange> ElasticState::ranges_of(const GroupPages& pages) const {
  std::vector<governor::ByteRange> ranges;
  for (size_t i = 0; i < state_.layers.size(); ++i) {
    const size_t group = static_cast<size_t>(state_.group_of_layer[i]);
    for (const Tensor* plane : {&state_.layers[i].k, &state_.layers[i].v}) {
      const int64_t piece = piece_bytes(*plane), begin = plane->raw() - storage().data();
      for_each_run(pages[group], [&](Page first, int64_t count) {
        ranges.push_back({begin + first * piece, count * piece});
      });
    }
  }
  return ranges;
}

void ElasticState::give_back(const GroupPages& pages) { memory_.give_back(storage(), ranges_of(pages)); }

Result<void> ElasticState::take_again(const GroupPages& pages) {
  return memory_.take_again(storage(), ranges_of(pages));
}

}  // namespace hearth
