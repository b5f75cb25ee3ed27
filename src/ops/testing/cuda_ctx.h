// A Ctx on the first GPU for tests: an arena, a stream and memory of its own.
#pragma once
#include "core/device/cuda.h"
#include "ops/test_ctx.h"

namespace hearth {

class CudaCtx {
 public:
  explicit CudaCtx(int64_t arena_bytes = 128 * MiB)
      : memory_({DeviceKind::kCuda}),
        host_({DeviceKind::kCpu}),
        stream_(cuda::create_stream(0)),
        caps_(cuda::caps(0)),
        arena_(*memory_.allocate(arena_bytes, "arena")),
        c_{.device = {DeviceKind::kCuda}, .caps = caps_, .arena = arena_, .stream = stream_} {
    poison();
  }
  ~CudaCtx() { cuda::destroy_stream(0, stream_); }
  CudaCtx(const CudaCtx&) = delete;

  Ctx& operator*() { return c_; }
  cuda::Stream stream() const { return stream_; }
  void wait() { cuda::synchronize(0, stream_); }

  /// Fills the arena with NaNs, so that what a kernel leaves unwritten shows.
  void poison() {
    cuda::fill(stream_, arena_.base(), 0xff, arena_.capacity_bytes());
    wait();
  }
  Tensor copy_in(const Tensor& host) {
    Tensor device = *memory_.tensor(host.dtype(), host.shape(), "test");
    cuda::copy_to_device(stream_, device.raw(), host.raw(), host.bytes());
    wait();
    return device;
  }
  Tensor copy_out(const Tensor& device) {
    Tensor host = *host_.tensor(device.dtype(), device.shape(), "test");
    cuda::copy_to_host(stream_, host.raw(), device.raw(), device.bytes());
    wait();
    return host;
  }

 private:
  RawAllocator memory_, host_;
  cuda::Stream stream_;
  Caps caps_;
  Arena arena_;
  Ctx c_;
};

}  // namespace hearth
