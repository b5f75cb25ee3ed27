#include "models/load/weights.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include <fmt/format.h>

#include "core/base/units.h"
#include "core/device/cuda.h"
#include "models/load/names.h"
#include "models/load/rows.h"
#include "ops/linear/layout.h"
#include "ops/quant/encode.h"

namespace hearth {
namespace {

constexpr int64_t kAlignment = 256;
constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max() / 2;
constexpr int64_t kJobBytes = 1 * MiB;  // what a thread unpacks at once: it stays in the second cache level

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

int64_t source_bytes(const Located& source, int64_t rows, const Weight& weight) {
  return row_bytes(source.tensor->type, rows * (weight.shape.numel() / weight.out()));
}

}  // namespace

Weights::Weights(const Checkpoint& checkpoint, const Caps& caps, bool decodes)
    : own_source_(language_model_tensors(checkpoint)), source_(own_source_.get()), checkpoint_(&checkpoint),
      caps_(caps), device_{DeviceKind::kMeta}, slab_(*meta_.allocate(kUnlimited, "sizing")) {
  if (decodes) options_.scheme = DType::kF32;
}

Weights::Weights(const TensorSource& source, const Caps& caps, WeightOptions options)
    : source_(&source), caps_(caps), device_{DeviceKind::kMeta}, options_(std::move(options)),
      slab_(*meta_.allocate(kUnlimited, "sizing")) {}

Weights::Weights(const Checkpoint& checkpoint, const Caps& caps, Device device, StorageRef slab, bool decodes)
    : own_source_(language_model_tensors(checkpoint)), source_(own_source_.get()), checkpoint_(&checkpoint),
      caps_(caps), device_(device), slab_(std::move(slab)) {
  if (decodes) options_.scheme = DType::kF32;
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
  weight.scheme = options_.scheme.value_or(resident_scheme(source.tensor->type));
  if (is_patched(name)) weight.scheme = options_.patched_scheme.value_or(patched_scheme(weight.scheme));
  const Shape matrix = matrix_of(weight);
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
  if (device_.kind != DeviceKind::kMeta) write(place_for.raw(), values.data(), place_for.bytes());
  return place_for.bitcast(DType::kF32, {n});
}

void Weights::write(std::byte* to, const void* from, int64_t bytes) const {
  if (device_.kind == DeviceKind::kCuda) {
    if constexpr (cuda::kBuilt) {
      cuda::copy_to_device(nullptr, to, from, bytes);
      cuda::synchronize(device_.index, nullptr);
    }
    return;
  }
  std::memcpy(to, from, static_cast<size_t>(bytes));
}

void Weights::add_jobs(std::string_view name, const Located& source, const Weight& weight, float plus) {
  if (device_.kind == DeviceKind::kMeta) return;
  int64_t n_rows = weight.shape.rank() == 1 ? 1 : weight.out();
  int64_t tile = row_tile(weight.layout);
  int64_t rows_per_job = std::max<int64_t>(kJobBytes / (source_bytes(source, 1, weight) * tile), 1) * tile;
  // A transposition or a rotation needs every row.
  const bool is_mixed = is_patched(name) && options_.patch->needs_all_rows(name);
  if (source.is_transposed || is_mixed) rows_per_job = n_rows;
  const TensorInfo& tensor = *source.tensor;
  const int64_t start = tensor.offset + row_bytes(tensor.type, source.first * entry_elements(tensor));
  for (int64_t row = 0; row < n_rows; row += rows_per_job) {
    const int64_t n = std::min(rows_per_job, n_rows - row);
    const int64_t bytes = source_bytes(source, weight.shape.rank() == 1 ? weight.shape[0] : n, weight);
    jobs_.push_back({std::string(name), source, weight, row, n, plus,
                     {tensor.file, start + source_bytes(source, row, weight), bytes}});
  }
}

}  // namespace hearth
