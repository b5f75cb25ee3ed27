// The second half of Weights: what was bound is read and put in its place.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>

#include <fmt/format.h>

#include "core/base/log.h"
#include "core/base/units.h"
#include "models/load/read_plan.h"
#include "models/load/rows.h"
#include "models/load/weights.h"
#include "ops/linear/layout.h"
#include "ops/quant/decode.h"

namespace hearth {
namespace {

constexpr int64_t kLargeModel = 512 * MiB;
constexpr int64_t kAlignedFor = 8;  // bytes of the longest number; a safetensors file may put tensors anywhere
constexpr int64_t kGap = 64 * KiB;  // sooner read for nothing than left out by a read of its own

// A small model does not pay for a large ring: 24 MiB, and 192 MiB from half a GiB on. Disks that tell of what is done
// in lumps are fast with many reads at once, and stand still unless other blocks are used meanwhile.
ReadOptions read_options(int64_t total_bytes, bool is_mapped) {
  if (total_bytes < kLargeModel) return {.block_bytes = MiB, .depth = 16, .spare = 8, .is_mapped = is_mapped};
  return {.block_bytes = 4 * MiB, .depth = 32, .spare = 16, .is_mapped = is_mapped};
}

}  // namespace

std::string LoadProgress::text() const {
  const double rate = static_cast<double>(done_bytes) / std::max(seconds, 1e-9);
  return fmt::format("{} of {}, {}/s, {} left", format_bytes(done_bytes), format_bytes(total_bytes),
                     format_bytes(static_cast<int64_t>(rate)),
                     format_duration(static_cast<double>(total_bytes - done_bytes) / std::max(rate, 1.0)));
}

void LoadReport::operator()(const LoadProgress& progress) {
  constexpr double kEvery = 2;
  if (progress.seconds - told_s_ < kEvery) return;
  told_s_ = progress.seconds;
  log::info("loading {}: {}", name_, progress.text());
}

void Weights::store_vector(const Job& job, std::span<const std::byte> stored) const {
  std::vector<float> values(static_cast<size_t>(job.weight.shape[0]));
  quant::decode_row(job.source.tensor->type, stored.data(), values.data(), std::ssize(values));
  if (job.plus != 0) {
    for (float& value : values) value += job.plus;
  }
  if (is_patched(job.name)) options_.patch->apply(job.name, 0, 1, values);
  write(job.weight.data.raw(), values.data(), job.weight.bytes());
}

void Weights::store_rows(const Job& job, std::span<const std::byte> rows) const {
  const Weight& w = job.weight;
  const DType stored = job.source.tensor->type;
  const Shape matrix = matrix_of(w);
  std::vector<std::byte> changed;
  auto go_on_with = [&](std::vector<std::byte> next) {
    changed = std::move(next);
    rows = changed;
  };
  if (job.source.is_transposed) go_on_with(transposed(stored, rows, matrix[1], matrix[0]));
  if (const bool patched = is_patched(job.name); patched || w.scheme != stored) {
    std::vector<float> decoded(static_cast<size_t>(job.n_rows * matrix[1]));
    quant::decode_row(stored, rows.data(), decoded.data(), std::ssize(decoded));
    if (patched) options_.patch->apply(job.name, job.first_row, job.n_rows, decoded);
    go_on_with(encoded(w.scheme, decoded));
  }
  if (w.shape.rank() == 4 && w.shape[1] * w.shape[2] > 1) {
    go_on_with(channels_last(w.scheme, rows, job.n_rows, w.shape[3], w.shape[1] * w.shape[2]));
  }
  put_rows(job, rows);
}

void Weights::put_rows(const Job& job, std::span<const std::byte> rows) const {
  const Weight& w = job.weight;
  const Shape matrix = matrix_of(w);
  if (device_.kind == DeviceKind::kCpu) {
    pack_rows(w.scheme, w.layout, matrix, job.first_row, job.n_rows, rows.data(), w.data.raw());
    return;
  }
  // Whole tiles are one run of bytes in every layout: as much as the rows before them take is where they begin.
  std::byte* to = w.data.raw() + packed_bytes(w.scheme, w.layout, {job.first_row, matrix[1]});
  if (w.layout == Layout::kFile) return write(to, rows.data(), std::ssize(rows));
  const Shape part = {job.n_rows, matrix[1]};
  std::vector<std::byte> packed(static_cast<size_t>(packed_bytes(w.scheme, w.layout, part)));
  pack_rows(w.scheme, w.layout, part, 0, job.n_rows, rows.data(), packed.data());
  write(to, packed.data(), std::ssize(packed));
}

void Weights::store(const Job& job, std::span<const std::byte> stored) const try {
  std::vector<std::byte> aligned;
  if (job.source.tensor->offset % kAlignedFor != 0) {
    aligned.assign(stored.begin(), stored.end());
    stored = aligned;
  }
  job.weight.shape.rank() == 1 ? store_vector(job, stored) : store_rows(job, stored);
} catch (const Error& e) {
  throw e.within(job.source.tensor->name);
}

// The rows of one job lie together: whole tiles are one run of bytes in every layout.
void Weights::take_pages(const Job& job) const {
  const Weight& w = job.weight;
  int64_t begin = w.data.raw() - slab_->data(), bytes = w.bytes();
  if (w.shape.rank() > 1) {
    const int64_t columns = matrix_of(w)[1];
    begin += packed_bytes(w.scheme, w.layout, {job.first_row, columns});
    bytes = packed_bytes(w.scheme, w.layout, {job.n_rows, columns});
  }
  slab_->take_pages(begin, bytes);
}

int64_t Weights::stored_bytes() const {
  int64_t total = 0;
  for (const Job& job : jobs_) total += job.stored.bytes;
  return total;
}

// Takes pages of memory in step with what is read, so that all of it is there when the last read is.
class Weights::Beside {
 public:
  explicit Beside(const std::vector<StorageRef>& storages) : storages_(storages) {
    for (const StorageRef& storage : storages_) bytes_ += storage->bytes();
  }

  // From any thread: up to the same share of all.
  void keep_up_with(double share) {
    constexpr int64_t kStep = 8 * MiB;
    const int64_t due = share >= 1 ? bytes_ : static_cast<int64_t>(share * static_cast<double>(bytes_)) / kStep * kStep;
    int64_t begin = taken_;
    while (begin < due && !taken_.compare_exchange_weak(begin, due)) {
    }
    if (begin < due) take(begin, due);
  }

 private:
  // Of the storages as one run of bytes.
  void take(int64_t begin, int64_t end) const {
    int64_t first = 0;
    for (const StorageRef& storage : storages_) {
      const int64_t from = std::max<int64_t>(begin - first, 0), to = std::min(end - first, storage->bytes());
      if (from < to) storage->take_pages(from, to - from);
      first += storage->bytes();
    }
  }

  const std::vector<StorageRef>& storages_;
  int64_t bytes_ = 0;
  std::atomic<int64_t> taken_{0};
};

int64_t Weights::ring_bytes() const { return read_options(stored_bytes(), is_mapped_).ring_bytes(); }

bool Weights::try_lease_ring(Allocator& memory, std::string_view holder) {
  ring_lease_ = {};
  ring_ = read_options(stored_bytes(), is_mapped_);
  Result<StorageRef> lease = memory.book(ring_.ring_bytes(), holder);
  if (lease) ring_lease_ = *std::move(lease);
  return lease.has_value();
}

void Weights::lease_ring(Allocator& memory, std::string_view holder) {
  constexpr int kLeast = 2;  // blocks
  if (try_lease_ring(memory, holder)) return;
  do {
    ring_ = ring_.within(ring_.ring_bytes() / 2);
    Result<StorageRef> lease = memory.book(ring_.ring_bytes(), holder);
    if (!lease && ring_.blocks() > kLeast) continue;
    ring_lease_ = std::move(lease).value();
  } while (!ring_lease_);
}

void Weights::lend_ring(std::span<std::byte> memory) {
  ring_ = read_options(stored_bytes(), is_mapped_).within(std::ssize(memory));
  ring_memory_ = memory;
}

// A file that was cut short, or is another than the one whose header was read, is refused before anything is read.
void Weights::check_files(const DirectReader& reader) const {
  const TensorFile& file = source_->file();
  for (const Job& job : jobs_) {
    const std::string& path = file.paths[job.stored.file];
    const FileState& state = reader.state(job.stored.file);
    const int64_t end = job.stored.offset + job.stored.bytes;
    if (end > state.bytes) {
      throw Error(Code::kCorruptFile, fmt::format("{}: {}: ends at {}, {} bytes short of its tensors",
                                                  job.source.tensor->name, path, state.bytes, end - state.bytes));
    }
    if (file.states.empty()) continue;
    if (const FileState& then = file.states[job.stored.file]; then.is_known() && then != state) {
      throw Error(Code::kCorruptFile, path + ": the file changed since its header was read; load it again");
    }
  }
}

void Weights::load(ThreadPool& pool, const std::function<void(const LoadProgress&)>& progress,
                   const std::stop_token& stop) {
  check(device_.kind != DeviceKind::kMeta, "a sizing pass has nothing to load");
  LoadProgress state;
  state.total_bytes = stored_bytes();
  std::vector<Extent> pieces, extents;
  for (const Job& job : jobs_) pieces.push_back(job.stored);
  if (!ring_lease_ && ring_memory_.empty()) ring_ = read_options(state.total_bytes, is_mapped_);
  Beside beside(taken_beside_);
  DirectReader reader(source_->file().paths, ring_, ring_memory_);
  check_files(reader);
  const ReadPlan plan = plan_reads(pieces, ring_.block_bytes, kGap);
  for (const ReadPlan::Read& read : plan.reads) extents.push_back(read.extent);

  const auto start = std::chrono::steady_clock::now();
  std::mutex mutex;
  auto use = [&](int64_t index, std::span<const std::byte> bytes) {
    const ReadPlan::Read& read = plan.reads[index];
    double share = 0;
    for (int64_t i = read.first; i < read.first + read.n; ++i) {
      if (stop.stop_requested()) throw Error(Code::kCancelled, "loading was stopped");
      const Job& job = jobs_[plan.pieces[i]];
      take_pages(job);
      store(job, bytes.subspan(static_cast<size_t>(job.stored.offset - read.extent.offset),
                               static_cast<size_t>(job.stored.bytes)));
      std::lock_guard lock(mutex);
      state.done_bytes += job.stored.bytes;
      state.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      share = static_cast<double>(state.done_bytes) / static_cast<double>(state.total_bytes);
      if (progress) progress(state);
    }
    beside.keep_up_with(share);
  };
  reader.read(extents, pool, use, stop);
  beside.keep_up_with(1);
  jobs_.clear();
  taken_beside_.clear();
  ring_lease_ = {};
}

}  // namespace hearth
