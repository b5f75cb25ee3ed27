#include "runtime/diffuse/picture_lane.h"

#include <algorithm>
#include <cstring>

#include "core/base/units.h"

namespace hearth::diffuse {
namespace {

// Values reach a device of its own memory through its backend; pictures run on the CPU so far.
void need_host(const Ctx& c) {
  if (c.device.kind == DeviceKind::kCpu) return;
  throw Error(Code::kUnsupported, "picture models run on the CPU: this build has no kernels for them on " +
                                      c.device.text());
}

constexpr int64_t kTransposeRows = 1024;

// [rows, columns] to [columns, rows], one matrix a picture.
void transpose(const Ctx& c, const float* from, int64_t rows, int64_t columns, float* to) {
  c.parallel_for(rows, kTransposeRows, [&](int64_t begin, int64_t end) {
    for (int64_t column = 0; column < columns; ++column) {
      for (int64_t row = begin; row < end; ++row) to[column * rows + row] = from[row * columns + column];
    }
  });
}

}  // namespace

int64_t PictureLane::measure(const std::string& shape_key, FunctionRef<void(Ctx&)> step) {
  const auto known = peaks_.find(shape_key);
  if (known != peaks_.end()) return known->second;
  Arena arena;
  Ctx c{.device = {DeviceKind::kMeta}, .caps = executor_.caps(), .arena = arena};
  step(c);
  const int64_t peak = round_up(arena.peak_bytes(), 4 * KiB);
  peaks_.emplace(shape_key, peak);
  return peak;
}

void PictureLane::run(const std::string& shape_key, const std::function<bool()>& is_cancelled,
                      FunctionRef<void(Ctx&)> step) {
  std::lock_guard lock(mutex_);
  const Running running(*this);
  const int64_t peak = measure(shape_key, step);
  if (!lane_ || lane_->arena().capacity_bytes() < peak) {
    drop_lane();  // the old arena makes room for the new one
    lane_ = std::make_unique<Lane>("pictures", executor_.device(), memory_.allocate(peak, kArena));
    arena_bytes_ = lane_->arena().capacity_bytes();
  }
  auto cancelled = [&] { return is_aborted_ || (is_cancelled && is_cancelled()); };
  const Result<void> done =
      executor_.run({.lane = *lane_, .work_class = WorkClass::kBatch, .body = step, .is_cancelled = cancelled});
  if (!done && is_aborted_) {
    std::lock_guard reason(why_mutex_);
    throw *why_aborted_;
  }
  done.value();
}

PictureLane::Running::Running(PictureLane& lane) : lane_(lane) {
  std::lock_guard lock(lane_.why_mutex_);
  lane_.is_aborted_ = false;
  lane_.is_running_ = true;
}

PictureLane::Running::~Running() { lane_.is_running_ = false; }

bool PictureLane::abort(const Error& why) {
  std::lock_guard lock(why_mutex_);
  if (!is_running_) return false;
  why_aborted_ = why;
  is_aborted_ = true;
  return true;
}

void PictureLane::drop_lane() {
  lane_.reset();
  arena_bytes_ = 0;
}

void PictureLane::release() {
  std::lock_guard lock(mutex_);
  drop_lane();
}

// Whoever runs a step may come here while it looks for room; it does not wait for itself.
bool PictureLane::try_release() {
  if (is_running_) return false;
  std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || !lane_) return false;
  drop_lane();
  return true;
}

Tensor upload(Ctx& c, std::span<const float> values, Shape shape) {
  Tensor to = c.make(DType::kF32, shape);
  if (c.is_meta()) return to;
  need_host(c);
  check(std::ssize(values) == shape.numel(), "as many values as the shape has");
  std::copy(values.begin(), values.end(), to.data<float>());
  return to;
}

Tensor upload(Ctx& c, std::span<const int32_t> values, Shape shape) {
  Tensor to = c.make(DType::kI32, shape);
  if (c.is_meta()) return to;
  need_host(c);
  check(std::ssize(values) == shape.numel(), "as many values as the shape has");
  std::copy(values.begin(), values.end(), to.data<int32_t>());
  return to;
}

Tensor upload_map(Ctx& c, std::span<const float> nchw, int64_t n, int64_t channels, int64_t height, int64_t width) {
  Tensor to = c.make(DType::kF32, {n, height, width, channels});
  if (c.is_meta()) return to;
  need_host(c);
  const int64_t plane = height * width;
  check(std::ssize(nchw) == n * channels * plane, "as many values as the map has");
  for (int64_t i = 0; i < n; ++i) {
    const int64_t at = i * channels * plane;
    float* out = to.data<float>() + at;
    c.parallel_for(plane, kTransposeRows, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        for (int64_t ch = 0; ch < channels; ++ch) out[p * channels + ch] = nchw[at + ch * plane + p];
      }
    });
  }
  return to;
}

void download(Ctx& c, const Tensor& from, std::span<float> to) {
  if (c.is_meta()) return;
  need_host(c);
  check(std::ssize(to) == from.numel(), "as much room as there are values");
  std::copy_n(from.data<float>(), from.numel(), to.data());
}

void download_map(Ctx& c, const Tensor& from, std::span<float> nchw) {
  if (c.is_meta()) return;
  need_host(c);
  check(std::ssize(nchw) == from.numel() && from.rank() == 4, "as much room as the map has values");
  const int64_t plane = from.dim(1) * from.dim(2), channels = from.dim(3);
  for (int64_t i = 0; i < from.dim(0); ++i) {
    const int64_t at = i * channels * plane;
    transpose(c, from.data<float>() + at, plane, channels, nchw.data() + at);
  }
}

}  // namespace hearth::diffuse
