// BatchBuffers: the lasting memory through which a step gets its batch and gives its logits. Addresses never change, so
// a captured step can be replayed; on CUDA sizes are rounded up to buckets, on the CPU they are exact. Filled between
// steps by the model's loop thread.
#pragma once
#include <span>
#include <vector>

#include "core/device/allocator.h"
#include "models/lm/language_model.h"
#include "runtime/generate/scheduler.h"

namespace hearth {

struct BatchCapacity {
  int64_t rows = 0, seqs = 0, max_pages = 0;
  int64_t page_tokens = 32;
  int groups = 1;
  int64_t vocab = 0;
};

/// Bytes BatchBuffers leases on the device.
int64_t batch_buffer_bytes(const BatchCapacity& capacity, Device device);

/// A batch of these sizes on Meta, for measuring a step. `storage` backs it and needs no bytes.
Batch meta_batch(const BatchSizes& sizes, int groups, RawAllocator& meta);

class BatchBuffers {
 public:
  /// Throws Error{kNoMemory} when the allocator has no room.
  BatchBuffers(Allocator& memory, const BatchCapacity& capacity, std::string_view holder);
  ~BatchBuffers();
  BatchBuffers(const BatchBuffers&) = delete;

  /// Writes a step's batch; on CUDA the copy is queued on `stream`. Rows of `pieces` follow each other; row i of the
  /// logits is the i-th kept row.
  Batch fill(std::span<const Scheduler::Piece> pieces, void* stream);

  /// Where the step copies its logits: [seqs, vocab] f32.
  const Tensor& logits() const { return logits_; }
  /// Brings the first n rows of logits to the host. Row i is then logits_row(i), valid until the next step.
  void fetch_logits(int64_t n, void* stream);
  std::span<const float> logits_row(int64_t i) const;

 private:
  int64_t bucket(int64_t n, int64_t most) const;
  void place(std::span<const Scheduler::Piece> pieces, const BatchSizes& sizes);

  const BatchCapacity capacity_;
  const Device device_;
  Tensor staging_device_;      // [n] i32
  Tensor logits_;
  int32_t* staging_ = nullptr;  // what place() writes: the device bytes on the CPU, pinned memory on CUDA
  float* host_logits_ = nullptr;
};

}  // namespace hearth
