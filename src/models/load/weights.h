// Weights: a checkpoint's tensors on their way into a model's typed fields. bind() code asks for tensors by name and
// expected shape; a mismatch throws here, naming tensor, got and wanted. The same bind runs twice: once to size (no
// memory: exact resident bytes), once over one leased slab, after which load() reads the files straight into their
// final layout through a small ring. Used by one thread; load() works on the pool's threads.
#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/device/allocator.h"
#include "core/device/thread_pool.h"
#include "core/tensor/weight.h"
#include "formats/direct/direct_reader.h"
#include "models/load/checkpoint.h"
#include "models/load/tensor_source.h"
#include "models/load/weight_patch.h"

namespace hearth {

struct LoadProgress {
  int64_t done_bytes = 0, total_bytes = 0;
  double seconds = 0;
  /// "1.20 GiB of 4.00 GiB, 900.0 MiB/s, 3 s left".
  std::string text() const;
};

/// Logs how a load goes on, every other second: for load()'s `progress`.
class LoadReport {
 public:
  explicit LoadReport(std::string name) : name_(std::move(name)) {}
  void operator()(const LoadProgress& progress);

 private:
  std::string name_;
  double told_s_ = 0;
};

/// How weights become what a model holds.
struct WeightOptions {
  std::optional<DType> scheme;          // of matrices and convolutions: f32, f16 or bf16; absent: the file's
  const WeightPatch* patch = nullptr;   // changes to some weights; borrowed, outlives load()
  const BoundWeights* base = nullptr;   // with a patch: what untouched weights share; borrowed while binding
  std::optional<DType> patched_scheme;  // of weights a patch touches; absent: the file's, f16 for codes and 8 bits
};

class Weights {
 public:
  /// Sizes only: every Weight and Tensor it returns has shape and no bytes. They refer to this object: it must outlive
  /// the model bound over it.
  Weights(const Checkpoint& checkpoint, const Caps& caps, bool decodes = false);
  Weights(const TensorSource& source, const Caps& caps, WeightOptions options = {});
  /// Over `slab`, which must hold the bytes() the sizing pass gave. On CUDA the slab is device memory.
  Weights(const Checkpoint& checkpoint, const Caps& caps, Device device, StorageRef slab, bool decodes = false);
  Weights(const TensorSource& source, const Caps& caps, Device device, StorageRef slab, WeightOptions options = {});

  /// A matrix [out, in] in the layout linear() wants here. Names are the source's: GGUF's for language models (names.h
  /// has the others), diffusers' for the networks of pictures. A 1x1 convolution is a matrix too.
  Weight matrix(std::string_view name, int64_t out, int64_t in);
  /// A convolution [out, in, kernel, kernel] of the file as [out, kernel, kernel, in], laid out as the matrix
  /// [out, kernel * kernel * in].
  Weight conv(std::string_view name, int64_t out, int64_t in, int64_t kernel);
  /// A vector [n] as float32, `plus` added to every element (norms some checkpoints store around zero).
  Tensor vector(std::string_view name, int64_t n, float plus = 0);
  /// A vector the model computed from its configuration, kept with the weights.
  Tensor computed(const std::vector<float>& values);
  bool has(std::string_view name) const { return static_cast<bool>(source_->find(name)); }
  /// Of weights made from a checkpoint.
  const Checkpoint& checkpoint() const;
  const Caps& caps() const { return caps_; }

  /// Exact bytes of everything bound so far, alignment included; what a base lends counts nothing.
  int64_t bytes() const { return next_; }
  /// Has load() map the files: the page cache keeps them, and there is no ring. Before the ring's lease.
  void map_files(bool is_mapped) { is_mapped_ = is_mapped; }
  /// Of the ring load() reads fastest through.
  int64_t ring_bytes() const;
  /// Has load()'s ring leased if the pool has room for the whole of it.
  bool try_lease_ring(Allocator& memory, std::string_view holder);
  /// Has load()'s ring leased, a smaller and slower one where the pool has no room for the whole. Throws
  /// Error{kNoMemory} when even the smallest does not fit.
  void lease_ring(Allocator& memory, std::string_view holder);
  /// Has load() use `memory` for its ring, which nobody else does meanwhile; a smaller ring where it is small.
  void lend_ring(std::span<std::byte> memory);
  /// Has load() take the pages of memory that was allocated untouched while it waits for the disk.
  void take_beside(StorageRef storage) { taken_beside_.push_back(std::move(storage)); }
  /// Handles on everything bound so far.
  const BoundWeights& bound() const { return bound_; }
  /// Reads everything bound, past the page cache; an untouched slab's pages are taken meanwhile. Throws Error on a file
  /// that is short or changes meanwhile, a failed read, or kCancelled soon after `stop` is asked for, whatever the
  /// checkpoint's size; nothing else is left behind.
  void load(ThreadPool& pool, const std::function<void(const LoadProgress&)>& progress = {},
            const std::stop_token& stop = {});

 private:
  class Beside;
  struct Job {  // one run of whole row tiles of one weight
    std::string name;
    Located source;
    Weight weight;
    int64_t first_row, n_rows;
    float plus;
    Extent stored;  // where the file has them
  };
  Located require(std::string_view name) const;
  const Weight* lent(std::string_view name) const;
  bool is_patched(std::string_view name) const { return options_.patch && options_.patch->touches(name); }
  Weight bind(std::string_view name, const Located& source, Shape shape);
  Tensor place(int64_t bytes);
  void add_jobs(std::string_view name, const Located& source, const Weight& weight, float plus);
  void check_files(const DirectReader& reader) const;
  void take_pages(const Job& job) const;
  int64_t stored_bytes() const;
  void store(const Job& job, std::span<const std::byte> stored) const;
  void store_vector(const Job& job, std::span<const std::byte> stored) const;
  void store_rows(const Job& job, std::span<const std::byte> rows) const;
  void put_rows(const Job& job, std::span<const std::byte> rows) const;
  void write(std::byte* to, const void* from, int64_t bytes) const;

  std::unique_ptr<TensorSource> own_source_;
  const TensorSource* source_;
  const Checkpoint* checkpoint_ = nullptr;
  Caps caps_;
  RawAllocator meta_{{DeviceKind::kMeta}};  // stands in for a slab while sizing
  Device device_;
  WeightOptions options_;
  StorageRef slab_;
  int64_t next_ = 0;
  BoundWeights bound_;
  std::vector<Job> jobs_;
  ReadOptions ring_;
  StorageRef ring_lease_;
  std::span<std::byte> ring_memory_;
  std::vector<StorageRef> taken_beside_;
  bool is_mapped_ = false;
};

}  // namespace hearth
