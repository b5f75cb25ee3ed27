// PictureLane: where the steps of picture work run: one lane whose arena is as large as the largest step asked for, as
// Meta measures it before the step runs. Steps come one after the other; the caller's thread waits.
#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>

#include "core/device/ctx.h"
#include "runtime/diffuse/residency.h"
#include "runtime/executor/executor.h"

namespace hearth::diffuse {

/// Who holds the arena, in refusals and reports.
inline constexpr const char* kArena = "arena pictures";

class PictureLane {
 public:
  /// Both outlive the lane.
  PictureLane(Executor& executor, Residency& memory) : executor_(executor), memory_(memory) {}

  /// Runs `step`, first on Meta where the arena it needs is not known yet. Equal `shape_key`s promise equal shapes.
  /// `step` makes its inputs with upload() and reads its results with download(), so that it runs on either. Throws
  /// what it threw, kCancelled, or kNoMemory.
  void run(const std::string& shape_key, const std::function<bool()>& is_cancelled, FunctionRef<void(Ctx&)> step);

  /// Gives the arena back; the next step takes it anew.
  void release();
  /// As release(), unless a step runs or there is nothing to give: false then.
  bool try_release();
  int64_t arena_bytes() const { return arena_bytes_; }
  bool is_running() const { return is_running_; }
  /// Ends the step that runs at its next cut, with `why`; false when none runs.
  bool abort(const Error& why);

 private:
  // A step that runs, from its first look at memory on.
  class Running {
   public:
    explicit Running(PictureLane& lane);
    ~Running();

   private:
    PictureLane& lane_;
  };
  int64_t measure(const std::string& shape_key, FunctionRef<void(Ctx&)> step);
  void drop_lane();  // mutex_ held

  Executor& executor_;
  Residency& memory_;
  mutable std::mutex mutex_;  // held while a step runs
  std::unique_ptr<Lane> lane_;
  std::unordered_map<std::string, int64_t> peaks_;
  std::atomic<int64_t> arena_bytes_{0};
  std::atomic<bool> is_running_{false};
  std::atomic<bool> is_aborted_{false};
  std::mutex why_mutex_;
  std::optional<Error> why_aborted_;  // guarded by why_mutex_, as turning is_aborted_ is
};

/// A tensor of the step with host values; bytes are not looked at on Meta.
Tensor upload(Ctx& c, std::span<const float> values, Shape shape);
Tensor upload(Ctx& c, std::span<const int32_t> values, Shape shape);
/// [n,C,h,w] host values as a feature map [n,h,w,C].
Tensor upload_map(Ctx& c, std::span<const float> nchw, int64_t n, int64_t channels, int64_t height, int64_t width);
/// Results back to the host; nothing happens on Meta.
void download(Ctx& c, const Tensor& from, std::span<float> to);
/// A feature map [n,h,w,C] to host values [n,C,h,w].
void download_map(Ctx& c, const Tensor& from, std::span<float> nchw);

}  // namespace hearth::diffuse
