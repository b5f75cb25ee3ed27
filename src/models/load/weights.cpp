#include "models/load/weights.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <limits>
#include <mutex>

#include <fmt/format.h>

#include "core/base/units.h"
#include "core/device/cuda.h"
#include "models/load/names.h"
#include "models/load/read_bytes.h"
#include "models/load/rows.h"
#include "ops/linear/layout.h"
#include "ops/quant/decode.h"
#include "ops/quant/encode.h"

namespace hearth {
namespace {

constexpr int64_t kAlignment = 256;
constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max() / 2;
constexpr int64_t kJobBytes = 4 * MiB;  // large enough for the disk, small enough that the ring is nothing

// Elements of one entry of a tensor's first axis.
int64_t entry_elements(const TensorInfo& tensor) {
  return tensor.shape.empty() || tensor.shape[0] == 0 ? 1 : tensor.elements() / tensor.shape[0];
}

// How a weight of a file is encoded in memory: as in the file, but for doubles, which no op reads.
DType resident_scheme(DType stored) { return stored == DType::kF64 ? DType::kF32 : stored; }

// A changed weight's: a sum has no place in the codes of a block, and too little in eight bits.
DType patched_scheme(DType resident) {
  return quant::can_encode(resident) && !info(resident).is_block ? resident : DType::kF16;
}

// A weight as the matrix its layout is made of.
Shape matrix_shape(const Weight& weight) { return {weight.out(), weight.shape.numel() / weight.out()}; }

int64_t source_bytes(const Located& source, int64_t rows, const Weight& weight) {
  return row_bytes(source.tensor->type, rows * (weight.shape.numel() / weight.out()));
}

}  // namespace

Weights::Weights(const Checkpoint& checkpoint, const Caps& caps, bool decodes)
    : own_source_(language_model_tensors(checkpoint)), source_(own_source_.get()), checkpoint_(&checkpoint),
      caps_(caps), device_{DeviceKind::kMeta}, slab_(*meta_.allocate(kUnlimited, "sizing")) {
  options_.decodes = decodes;
}

Weights::Weights(const TensorSource& source, const Caps& caps, WeightOptions options)
    : source_(&source), caps_(caps), device_{DeviceKind::kMeta}, options_(std::move(options)),
      slab_(*meta_.allocate(kUnlimited, "sizing")) {}

Weights::Weights(const Checkpoint& checkpoint, const Caps& caps, Device device, StorageRef slab, bool decodes)
    : own_source_(language_model_tensors(checkpoint)), source_(own_source_.get()), checkpoint_(&checkpoint),
      caps_(caps), device_(device), slab_(std::move(slab)) {
  options_.decodes = decodes;
}

Weights::Weights(const TensorSource& source, const Caps& caps, Device device, StorageRef slab, WeightOptions options)
    : source_(&source), caps_(caps), device_(device), options_(std::move(options)), slab_(std::move(slab)) {}

const Checkpoint& Weights::checkpoint() const {
  check(checkpoint_ != nullptr, "these weights come from a checkpoint");
  return *checkpoint_;
}

Located Weights::require(std::string_view name) const {
  if (Located found = source_->find(name)) return found;
  throw Error(Code::kCorruptFile,
              fmt::format("{}: tensor '{}' is missing", source_->path(), source_->name_in_file(name)));
}

// What the base model has where nothing changes.
const Weight* Weights::lent(std::string_view name) const {
  if (!options_.base || is_patched(name)) return nullptr;
  auto found = options_.base->find(name);
  return found == options_.base->end() ? nullptr : &found->second;
}

Tensor Weights::place(int64_t bytes) {
  int64_t offset = next_;
  next_ += round_up(bytes, kAlignment);
  return Tensor(slab_, DType::kU8, {bytes}, offset);
}

Weight Weights::bind(std::string_view name, const Located& source, Shape shape) {
  if (shape.numel() <= 0) {
    throw Error(Code::kCorruptFile, fmt::format("{}: tensor '{}' is {}, a weight without elements", source_->path(),
                                                source.tensor->name, describe(source.shape())));
  }
  Weight weight;
  weight.shape = shape;
  weight.scheme = options_.decodes ? DType::kF32 : resident_scheme(source.tensor->type);
  if (is_patched(name)) weight.scheme = options_.patched_scheme.value_or(patched_scheme(weight.scheme));
  const Shape matrix = matrix_shape(weight);
  weight.layout = pick_layout(caps_, weight.scheme, matrix);
  weight.data = place(packed_bytes(weight.scheme, weight.layout, matrix));
  add_jobs(name, source, weight, 0);
  return bound_[std::string(name)] = weight;
}

Weight Weights::matrix(std::string_view name, int64_t out, int64_t in) {
  const Located source = require(name);
  if (as_matrix(source.shape()) != std::vector<int64_t>{out, in}) {
    throw Error(Code::kCorruptFile,
                fmt::format("{}: tensor '{}' is {}, the configuration asks for [{}, {}]", source_->path(),
                            source.tensor->name, describe(source.shape()), out, in));
  }
  if (const Weight* base = lent(name)) return bound_[std::string(name)] = *base;
  return bind(name, source, {out, in});
}

Weight Weights::conv(std::string_view name, int64_t out, int64_t in, int64_t kernel) {
  const Located source = require(name);
  const std::vector<int64_t> wanted = {out, in, kernel, kernel};
  if (as_matrix(source.shape()) != as_matrix(wanted) || info(source.tensor->type).is_block) {
    throw Error(Code::kCorruptFile, fmt::format("{}: tensor '{}' is {} {}, the configuration asks for {} of floats",
                                                source_->path(), source.tensor->name, hearth::name(source.tensor->type),
                                                describe(source.shape()), describe(wanted)));
  }
  if (const Weight* base = lent(name)) return bound_[std::string(name)] = *base;
  return bind(name, source, {out, kernel, kernel, in});
}

Tensor Weights::vector(std::string_view name, int64_t n, float plus) {
  const Located source = require(name);
  if (source.elements() != n) {
    throw Error(Code::kCorruptFile, fmt::format("{}: tensor '{}' is {}, the configuration asks for [{}]",
                                                source_->path(), source.tensor->name, describe(source.shape()), n));
  }
  Weight weight;
  if (const Weight* base = lent(name)) {
    weight = *base;
  } else {
    weight.shape = {n};
    weight.scheme = DType::kF32;
    weight.data = place(n * static_cast<int64_t>(sizeof(float)));
    add_jobs(name, source, weight, plus);
  }
  bound_[std::string(name)] = weight;
  return weight.data.bitcast(DType::kF32, {n});
}

Tensor Weights::computed(const std::vector<float>& values) {
  auto n = static_cast<int64_t>(values.size());
  Tensor place_for = place(n * static_cast<int64_t>(sizeof(float)));
  write(place_for, values.data(), place_for.bytes());
  return place_for.bitcast(DType::kF32, {n});
}

void Weights::write(const Tensor& to, const void* from, int64_t bytes) const {
  if (device_.kind == DeviceKind::kMeta) return;
  if (device_.kind == DeviceKind::kCuda) {
    if constexpr (cuda::kBuilt) {
      cuda::copy_to_device(nullptr, to.raw(), from, bytes);
      cuda::synchronize(device_.index, nullptr);
    }
    return;
  }
  std::memcpy(to.raw(), from, static_cast<size_t>(bytes));
}

void Weights::add_jobs(std::string_view name, const Located& source, const Weight& weight, float plus) {
  if (device_.kind == DeviceKind::kMeta) return;
  int64_t n_rows = weight.shape.rank() == 1 ? 1 : weight.out();
  int64_t tile = row_tile(weight.layout);
  int64_t rows_per_job = std::max<int64_t>(kJobBytes / (source_bytes(source, 1, weight) * tile), 1) * tile;
  // A device copy needs whole packed tensors, a transposition every row: they are staged on the host one by one.
  if (device_.kind == DeviceKind::kCuda || source.is_transposed) rows_per_job = n_rows;
  for (int64_t row = 0; row < n_rows; row += rows_per_job) {
    jobs_.push_back({std::string(name), source, weight, row, std::min(rows_per_job, n_rows - row), plus});
  }
}

void Weights::store_vector(const Job& job, const std::vector<std::byte>& stored, std::byte* to) const {
  const int64_t n = job.weight.shape[0];
  auto* out = reinterpret_cast<float*>(to);
  quant::decode_row(job.source.tensor->type, stored.data(), out, n);
  for (int64_t i = 0; job.plus != 0 && i < n; ++i) out[i] += job.plus;
  if (is_patched(job.name)) options_.patch->apply(job.name, 0, 1, {out, static_cast<size_t>(n)});
}

void Weights::store_rows(const Job& job, std::vector<std::byte> rows, std::byte* to) const {
  const Weight& w = job.weight;
  const DType stored = job.source.tensor->type;
  const Shape matrix = matrix_shape(w);
  if (job.source.is_transposed) rows = transposed(stored, rows, matrix[1], matrix[0]);
  if (const bool patched = is_patched(job.name); patched || w.scheme != stored) {
    std::vector<float> decoded(static_cast<size_t>(job.n_rows * matrix[1]));
    quant::decode_row(stored, rows.data(), decoded.data(), std::ssize(decoded));
    if (patched) options_.patch->apply(job.name, job.first_row, job.n_rows, decoded);
    rows = encoded(w.scheme, decoded);
  }
  if (w.shape.rank() == 4 && w.shape[1] * w.shape[2] > 1) {
    rows = channels_last(w.scheme, rows, job.n_rows, w.shape[3], w.shape[1] * w.shape[2]);
  }
  pack_rows(w.scheme, w.layout, matrix, job.first_row, job.n_rows, rows.data(), to);
}

void Weights::store(const Job& job, std::vector<std::byte> stored) const {
  const Weight& w = job.weight;
  std::vector<std::byte> staging(device_.kind == DeviceKind::kCuda ? static_cast<size_t>(w.bytes()) : 0);
  std::byte* to = staging.empty() ? w.data.raw() : staging.data();
  if (w.shape.rank() == 1) {
    store_vector(job, stored, to);
  } else {
    store_rows(job, std::move(stored), to);
  }
  if (!staging.empty()) write(w.data, staging.data(), w.bytes());
}

void Weights::run_job(const Job& job, const std::vector<int>& files, const std::stop_token& stop) const {
  const TensorInfo& tensor = *job.source.tensor;
  const int64_t rows = job.weight.shape.rank() == 1 ? job.weight.shape[0] : job.n_rows;
  std::vector<std::byte> buffer(static_cast<size_t>(source_bytes(job.source, rows, job.weight)));
  const int64_t offset = tensor.offset + row_bytes(tensor.type, job.source.first * entry_elements(tensor)) +
                         source_bytes(job.source, job.first_row, job.weight);
  read_exactly(files[tensor.file], source_->file().paths[tensor.file], offset, buffer.data(), std::ssize(buffer), stop);
  store(job, std::move(buffer));
}

void Weights::load(ThreadPool& pool, const std::function<void(const LoadProgress&)>& progress,
                   const std::stop_token& stop) {
  check(device_.kind != DeviceKind::kMeta, "a sizing pass has nothing to load");
  OpenFiles files(source_->file().paths);
  auto bytes_of = [](const Job& job) {
    return source_bytes(job.source, job.weight.shape.rank() == 1 ? job.weight.shape[0] : job.n_rows, job.weight);
  };
  LoadProgress state;
  for (const Job& job : jobs_) state.total_bytes += bytes_of(job);
  auto start = std::chrono::steady_clock::now();
  std::mutex mutex;
  std::optional<Error> failure;
  std::atomic<bool> has_failed{false};
  pool.parallel_for(static_cast<int64_t>(jobs_.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end && !has_failed; ++i) {
      const Job& job = jobs_[i];
      try {
        run_job(job, files.fds(), stop);
      } catch (const Error& e) {
        std::lock_guard lock(mutex);
        failure = e.code() == Code::kCancelled ? e : e.within(job.source.tensor->name);
        has_failed = true;
        return;
      }
      std::lock_guard lock(mutex);
      state.done_bytes += bytes_of(job);
      state.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      if (progress) progress(state);
    }
  });
  if (failure) throw *failure;
  jobs_.clear();
}

}  // namespace hearth
