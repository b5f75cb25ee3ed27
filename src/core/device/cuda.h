// The CUDA device behind plain functions: the only header through which code outside *.cu files meets CUDA, and it
// includes no CUDA header. In a build without CUDA kBuilt is false and callers discard the branch with `if constexpr`.
// A binary with CUDA starts and answers on a machine without GPU or driver: device_count() is then 0 and why_none()
// says why. A failing call throws Error{kDevice} naming call, device and CUDA's text; a sticky error marks the device
// lost (is_lost()).
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "core/base/result.h"
#include "core/device/device.h"
#include "core/device/growing_memory.h"

namespace hearth::cuda {

#if defined(HEARTH_CUDA)
inline constexpr bool kBuilt = true;
#else
inline constexpr bool kBuilt = false;
#endif

/// Opaque cudaStream_t, cudaEvent_t.
using Stream = void*;
using Event = void*;

int device_count() noexcept;
/// One sentence for people when device_count() is 0: "no NVIDIA driver", "driver 550 is older than CUDA 13 needs".
std::string why_none();
Caps caps(int device);
/// CPU and GPU share one memory.
bool is_integrated(int device);
/// PCI address, such as 0000:01:00.0: the same in every process and tool, which a device's number is not.
std::string bus_id(int device);
bool is_lost(int device) noexcept;

struct MemoryInfo {
  int64_t free_bytes, total_bytes;
};
MemoryInfo memory_info(int device);

/// Creates the context unless the process has it, loads every kernel module (lazy loading off for them) and returns the
/// bytes that cost, which the governor books for holder "driver"; later calls return the same number. 0 when neither
/// NVML nor the kernel would say.
int64_t initialise(int device);

/// cudaMalloc, and nothing else in the tree calls it.
Result<std::byte*> allocate(int device, int64_t bytes);
void release(int device, std::byte* data) noexcept;

/// Whether the driver gives this device's memory part by part, behind addresses that are there before it.
bool can_grow(int device);
/// Addresses for `bytes`, whole granules of the driver's, on a device that can_grow(). When it goes away it waits for
/// the device, as release() does.
Result<std::unique_ptr<GrowingMemory>> reserve(int device, int64_t bytes);

/// Page-locked host memory for batch inputs and logits.
Result<std::byte*> allocate_pinned(int64_t bytes);
void release_pinned(std::byte* data) noexcept;

Stream create_stream(int device);
void destroy_stream(int device, Stream stream) noexcept;
void synchronize(int device, Stream stream);
void copy_to_device(Stream stream, void* to, const void* from, int64_t bytes);
void copy_to_host(Stream stream, void* to, const void* from, int64_t bytes);
void copy_on_device(Stream stream, void* to, const void* from, int64_t bytes);
void fill(Stream stream, void* to, uint8_t byte, int64_t bytes);

/// A captured run of kernels. Capture forbids allocation, synchronisation and module loading on the stream.
class Graph {
 public:
  Graph() = default;
  Graph(Graph&& other) noexcept;
  Graph& operator=(Graph&& other) noexcept;
  ~Graph();
  void launch(Stream stream) const;
  explicit operator bool() const { return exec_ != nullptr; }

  static void begin_capture(Stream stream);
  /// Ends the capture and instantiates it. Throws when anything forbidden happened during it.
  static Graph end_capture(Stream stream);
  /// Drops a capture that failed midway, so that the stream is usable again.
  static void abandon_capture(Stream stream) noexcept;

 private:
  void* exec_ = nullptr;
};

}  // namespace hearth::cuda
