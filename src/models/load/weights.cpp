#include "models/load/weights.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <limits>
#include <mutex>
#include <optional>

#include <fmt/format.h>

#include "core/base/units.h"
#include "core/device/cuda.h"
#include "models/load/names.h"
#include "ops/linear/layout.h"
#include "ops/quant/decode.h"

namespace hearth {
namespace {

constexpr int64_t kAlignment = 256;
constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max() / 2;
constexpr int64_t kJobBytes = 4 * MiB;  // large enough for the disk, small enough that the ring is nothing
constexpr int64_t kReadBytes = 64 * MiB;  // at most this much is read between two looks at a stop

void go_on_unless(const std::stop_token& stop) {
  if (stop.stop_requested()) throw Error(Code::kCancelled, "loading was stopped");
}

void read_exactly(int fd, const std::string& path, int64_t offset, std::byte* to, int64_t bytes,
                  const std::stop_token& stop) {
  while (bytes > 0) {
    go_on_unless(stop);
    ssize_t got = pread(fd, to, static_cast<size_t>(std::min(bytes, kReadBytes)), offset);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) throw Error(Code::kIo, fmt::format("{}: read at {} failed: {}", path, offset, std::strerror(errno)));
    if (got == 0) {
      throw Error(Code::kCorruptFile,
                  fmt::format("{}: ends at {}, {} bytes short of its tensors", path, offset, bytes));
    }
    to += got;
    offset += got;
    bytes -= got;
  }
}

class OpenFiles {
 public:
  explicit OpenFiles(const std::vector<std::string>& paths) {
    for (const std::string& path : paths) {
      int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
      if (fd < 0) throw Error(Code::kIo, fmt::format("{}: {}", path, std::strerror(errno)));
      fds_.push_back(fd);
    }
  }
  ~OpenFiles() {
    for (int fd : fds_) ::close(fd);
  }
  OpenFiles(const OpenFiles&) = delete;
  const std::vector<int>& fds() const { return fds_; }

 private:
  std::vector<int> fds_;
};

}  // namespace

Weights::Weights(const Checkpoint& checkpoint, const Caps& caps, bool decodes)
    : checkpoint_(checkpoint), caps_(caps), device_{DeviceKind::kMeta}, decodes_(decodes),
      slab_(*meta_.allocate(kUnlimited, "sizing")) {}

Weights::Weights(const Checkpoint& checkpoint, const Caps& caps, Device device, StorageRef slab, bool decodes)
    : checkpoint_(checkpoint), caps_(caps), device_(device), decodes_(decodes), slab_(std::move(slab)) {}

const TensorInfo* Weights::find(std::string_view name) const {
  if (checkpoint_.format == Checkpoint::Format::kGguf) return checkpoint_.file.find(name);
  std::string stem = hugging_face_name(name, checkpoint_.architecture());
  if (const TensorInfo* found = checkpoint_.file.find(stem)) return found;
  // A text model inside a multimodal checkpoint, as older and newer transformers name it.
  if (const TensorInfo* found = checkpoint_.file.find("language_model." + stem)) return found;
  constexpr std::string_view kModel = "model.";
  if (stem.compare(0, kModel.size(), kModel) != 0) return nullptr;
  return checkpoint_.file.find("model.language_model." + stem.substr(kModel.size()));
}

const TensorInfo& Weights::require(std::string_view name) const {
  if (const TensorInfo* found = find(name)) return *found;
  // Named as the file would.
  std::string wanted = checkpoint_.format == Checkpoint::Format::kGguf
                           ? std::string(name)
                           : hugging_face_name(name, checkpoint_.architecture());
  throw Error(Code::kCorruptFile, fmt::format("{}: tensor '{}' is missing", checkpoint_.path, wanted));
}

Tensor Weights::place(int64_t bytes) {
  int64_t offset = next_;
  next_ += round_up(bytes, kAlignment);
  return Tensor(slab_, DType::kU8, {bytes}, offset);
}

Weight Weights::matrix(std::string_view name, int64_t out, int64_t in) {
  const TensorInfo& source = require(name);
  if (source.shape != std::vector<int64_t>{out, in}) {
    throw Error(Code::kCorruptFile, fmt::format("{}: tensor '{}' is {}, the configuration asks for [{}, {}]",
                                                checkpoint_.path, source.name, describe(source.shape), out, in));
  }
  Weight weight;
  weight.shape = {out, in};
  weight.scheme = decodes_ ? DType::kF32 : source.type;
  weight.layout = pick_layout(caps_, weight.scheme, weight.shape);
  weight.data = place(packed_bytes(weight.scheme, weight.layout, weight.shape));
  add_jobs(source, weight, 0);
  return weight;
}

Tensor Weights::vector(std::string_view name, int64_t n, float plus) {
  const TensorInfo& source = require(name);
  if (source.elements() != n) {
    throw Error(Code::kCorruptFile, fmt::format("{}: tensor '{}' is {}, the configuration asks for [{}]",
                                                checkpoint_.path, source.name, describe(source.shape), n));
  }
  Weight weight;
  weight.shape = {n};
  weight.scheme = DType::kF32;
  weight.data = place(n * static_cast<int64_t>(sizeof(float)));
  add_jobs(source, weight, plus);
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

void Weights::add_jobs(const TensorInfo& source, const Weight& weight, float plus) {
  if (device_.kind == DeviceKind::kMeta) return;
  int64_t n_rows = weight.shape.rank() == 1 ? 1 : weight.out();
  int64_t tile = row_tile(weight.layout);
  int64_t rows_per_job = std::max<int64_t>(kJobBytes / (row_bytes(source.type, weight.in()) * tile), 1) * tile;
  // A device copy needs whole packed tensors: they are staged on the host one by one.
  if (device_.kind == DeviceKind::kCuda) rows_per_job = n_rows;
  for (int64_t row = 0; row < n_rows; row += rows_per_job) {
    jobs_.push_back({&source, weight, row, std::min(rows_per_job, n_rows - row), plus});
  }
}

void Weights::store(const Job& job, const std::byte* rows) const {
  const Weight& w = job.weight;
  std::vector<std::byte> staging;
  std::byte* to = w.data.raw();
  if (device_.kind == DeviceKind::kCuda) {
    staging.resize(static_cast<size_t>(w.bytes()));
    to = staging.data();
  }
  if (w.shape.rank() == 1) {
    auto* out = reinterpret_cast<float*>(to);
    quant::decode_row(job.source->type, rows, out, w.shape[0]);
    for (int64_t i = 0; job.plus != 0 && i < w.shape[0]; ++i) out[i] += job.plus;
  } else if (w.scheme == job.source->type) {
    pack_rows(w.scheme, w.layout, w.shape, job.first_row, job.n_rows, rows, to);
  } else {
    std::vector<float> decoded(static_cast<size_t>(job.n_rows * w.in()));
    quant::decode_row(job.source->type, rows, decoded.data(), job.n_rows * w.in());
    pack_rows(w.scheme, w.layout, w.shape, job.first_row, job.n_rows,
              reinterpret_cast<const std::byte*>(decoded.data()), to);
  }
  if (!staging.empty()) write(w.data, staging.data(), w.bytes());
}

void Weights::run_job(const Job& job, const std::vector<int>& files, std::vector<std::byte>& buffer,
                      const std::stop_token& stop) const {
  int64_t bytes_per_row = row_bytes(job.source->type, job.weight.in());
  int64_t bytes = job.n_rows * bytes_per_row;
  buffer.resize(static_cast<size_t>(bytes));
  read_exactly(files[job.source->file], checkpoint_.file.paths[job.source->file],
               job.source->offset + job.first_row * bytes_per_row, buffer.data(), bytes, stop);
  store(job, buffer.data());
}

void Weights::load(ThreadPool& pool, const std::function<void(const LoadProgress&)>& progress,
                   const std::stop_token& stop) {
  check(device_.kind != DeviceKind::kMeta, "a sizing pass has nothing to load");
  OpenFiles files(checkpoint_.file.paths);
  LoadProgress state;
  for (const Job& job : jobs_) state.total_bytes += job.n_rows * row_bytes(job.source->type, job.weight.in());
  auto start = std::chrono::steady_clock::now();
  std::mutex mutex;
  std::optional<Error> failure;
  std::atomic<bool> has_failed{false};
  pool.parallel_for(static_cast<int64_t>(jobs_.size()), 1, [&](int64_t begin, int64_t end) {
    std::vector<std::byte> buffer;
    for (int64_t i = begin; i < end && !has_failed; ++i) {
      const Job& job = jobs_[i];
      try {
        run_job(job, files.fds(), buffer, stop);
      } catch (const Error& e) {
        std::lock_guard lock(mutex);
        failure = e.code() == Code::kCancelled ? e : e.within(job.source->name);
        has_failed = true;
        return;
      }
      std::lock_guard lock(mutex);
      state.done_bytes += job.n_rows * row_bytes(job.source->type, job.weight.in());
      state.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
      if (progress) progress(state);
    }
  });
  if (failure) throw *failure;
  jobs_.clear();
}

}  // namespace hearth
