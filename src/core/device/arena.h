// Arena: memory of one lane for tensors made inside one step. It is empty when a step begins and when it ends, so the
// same sequence of requests always gets the same offsets; a captured graph relies on that. First fit over a sorted free
// list; an allocation makes no heap allocation once the lane has warmed up. One thread at a time.
#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <utility>
#include <vector>

#include "core/tensor/storage.h"
#include "core/tensor/tensor.h"

namespace hearth {

class Arena final : private StorageOwner {
 public:
  static constexpr int64_t kAlignment = 256;

  /// An arena over leased bytes. The Storage must hold at least what Meta computed for the steps run in it.
  explicit Arena(StorageRef memory);
  /// A Meta arena: no bytes, no limit; peak_bytes() is what a real one needs.
  Arena();
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;
  ~Arena();

  /// Throws Error{kNoMemory} with needed and available bytes when the arena is too small.
  Tensor make(DType dtype, Shape shape);

  bool is_empty() const { return live_ == 0; }
  int64_t peak_bytes() const { return peak_; }      // highest end offset since reset_peak()
  int64_t capacity_bytes() const { return capacity_; }
  void reset_peak() { peak_ = 0; }
  bool is_meta() const { return base_ == nullptr; }
  std::byte* base() const { return base_; }

  /// Called with every released run, so that tests overwrite it and a use after release shows. Must not throw.
  using Poison = std::function<void(std::byte* data, int64_t bytes)>;
  void poison_with(Poison poison) { poison_ = std::move(poison); }
  /// Overwrites released CPU memory with a byte pattern.
  void poison_on_release(bool on);

 private:
  struct Range {
    int64_t offset, bytes;
  };
  void release(Storage* storage) noexcept override;
  Storage* take_node();

  StorageRef memory_;
  std::byte* base_ = nullptr;
  int64_t capacity_ = 0;
  int64_t peak_ = 0;
  int live_ = 0;
  Poison poison_;
  std::vector<Range> free_;       // sorted by offset, coalesced
  std::deque<Storage> nodes_;     // stable addresses
  std::vector<Storage*> unused_;  // nodes to hand out again
};

}  // namespace hearth
