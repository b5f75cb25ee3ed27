#include "core/device/arena.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "core/base/units.h"

namespace hearth {
namespace {

constexpr int kWarmNodes = 256;

}  // namespace

Arena::Arena(StorageRef memory) : memory_(std::move(memory)), base_(memory_->data()), capacity_(memory_->bytes()) {
  free_.reserve(kWarmNodes);
  unused_.reserve(kWarmNodes);
  free_.push_back({0, capacity_});
}

Arena::Arena() : capacity_(std::numeric_limits<int64_t>::max() / 2) { free_.push_back({0, capacity_}); }

Arena::~Arena() = default;

Tensor Arena::make(DType dtype, Shape shape) {
  int64_t bytes = round_up(std::max<int64_t>(row_bytes(dtype, shape.numel()), 1), kAlignment);
  for (auto range = free_.begin(); range != free_.end(); ++range) {
    if (range->bytes < bytes) continue;
    int64_t offset = range->offset;
    range->offset += bytes;
    range->bytes -= bytes;
    if (range->bytes == 0) free_.erase(range);
    peak_ = std::max(peak_, offset + bytes);
    Storage* node = take_node();
    node->reset(this, base_ ? base_ + offset : nullptr, bytes, offset);
    ++live_;
    return Tensor(StorageRef(node), dtype, shape);
  }
  throw Error(Code::kNoMemory, fmt::format("step arena of {} has no free run of {} for {} {}", format_bytes(capacity_),
                                           format_bytes(bytes), name(dtype), shape.text()));
}

Storage* Arena::take_node() {
  if (unused_.empty()) return &nodes_.emplace_back();
  Storage* node = unused_.back();
  unused_.pop_back();
  return node;
}

void Arena::poison_on_release(bool on) {
  poison_ = on ? Poison([](std::byte* data, int64_t bytes) { std::memset(data, 0xA5, static_cast<size_t>(bytes)); })
               : Poison();
}

void Arena::release(Storage* storage) noexcept {
  if (poison_ && base_) poison_(storage->data(), storage->bytes());
  Range freed{storage->offset(), storage->bytes()};
  auto next = std::lower_bound(free_.begin(), free_.end(), freed.offset,
                               [](const Range& range, int64_t offset) { return range.offset < offset; });
  bool joins_next = next != free_.end() && freed.offset + freed.bytes == next->offset;
  bool joins_previous = next != free_.begin() && std::prev(next)->offset + std::prev(next)->bytes == freed.offset;
  if (joins_previous && joins_next) {
    std::prev(next)->bytes += freed.bytes + next->bytes;
    free_.erase(next);
  } else if (joins_previous) {
    std::prev(next)->bytes += freed.bytes;
  } else if (joins_next) {
    next->offset = freed.offset;
    next->bytes += freed.bytes;
  } else {
    free_.insert(next, freed);
  }
  unused_.push_back(storage);
  --live_;
}

}  // namespace hearth
