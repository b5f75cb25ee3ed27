// Weights: a checkpoint's tensors on their way into a model's typed fields. bind() code asks for tensors by name and
// expected shape; a mismatch throws here, naming tensor, got and wanted. The same bind runs twice: once to size (no
// memory: exact resident bytes), once over one leased slab, after which load() reads the files straight into their
// final layout through a small ring. Used by one thread; load() works on the pool's threads.
#pragma once
#include <functional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "core/device/allocator.h"
#include "core/device/thread_pool.h"
#include "core/tensor/weight.h"
#include "models/load/checkpoint.h"

namespace hearth {

struct LoadProgress {
  int64_t done_bytes = 0, total_bytes = 0;
  double seconds = 0;
};

class Weights {
 public:
  /// Sizes only: every Weight and Tensor it returns has shape and no bytes. They refer to this object: it must outlive
  /// the model bound over it.
  Weights(const Checkpoint& checkpoint, const Caps& caps, bool decodes = false);
  /// Over `slab`, which must hold the bytes() the sizing pass gave. On CUDA the slab is device memory.
  Weights(const Checkpoint& checkpoint, const Caps& caps, Device device, StorageRef slab, bool decodes = false);

  /// A matrix [out, in] in the layout linear() wants here. Names are GGUF's; see names.h for the others.
  Weight matrix(std::string_view name, int64_t out, int64_t in);
  /// A vector [n] as float32, `plus` added to every element (norms some checkpoints store around zero).
  Tensor vector(std::string_view name, int64_t n, float plus = 0);
  /// A vector the model computed from its configuration, kept with the weights.
  Tensor computed(const std::vector<float>& values);
  bool has(std::string_view name) const { return find(name) != nullptr; }
  const Checkpoint& checkpoint() const { return checkpoint_; }
  const Caps& caps() const { return caps_; }

  /// Exact bytes of everything bound so far, alignment included.
  int64_t bytes() const { return next_; }
  /// Reads everything bound. Throws Error on a short file, a failed read, or kCancelled soon after `stop` is asked for,
  /// whatever the checkpoint's size; nothing else is left behind.
  void load(ThreadPool& pool, const std::function<void(const LoadProgress&)>& progress = {},
            const std::stop_token& stop = {});

 private:
  struct Job {  // one run of whole row tiles of one tensor
    const TensorInfo* source;
    Weight weight;
    int64_t first_row, n_rows;
    float plus;
  };
  const TensorInfo* find(std::string_view name) const;
  const TensorInfo& require(std::string_view name) const;
  Tensor place(int64_t bytes);
  void add_jobs(const TensorInfo& source, const Weight& weight, float plus);
  void run_job(const Job& job, const std::vector<int>& files, std::vector<std::byte>& buffer,
               const std::stop_token& stop) const;
  void store(const Job& job, const std::byte* rows) const;
  void write(const Tensor& to, const void* from, int64_t bytes) const;

  const Checkpoint& checkpoint_;
  Caps caps_;
  RawAllocator meta_{{DeviceKind::kMeta}};  // stands in for a slab while sizing
  Device device_;
  bool decodes_;  // matrices become float32
  StorageRef slab_;
  int64_t next_ = 0;
  std::vector<Job> jobs_;
};

}  // namespace hearth
