// Allocator: the only door to memory that outlives a step. core declares it, the governor implements it with a lease
// taken before the bytes are; core itself never knows the governor. raw_allocate() is what stands behind it.
#pragma once
#include <memory>
#include <string_view>

#include "core/base/result.h"
#include "core/device/device.h"
#include "core/device/growing_memory.h"
#include "core/tensor/tensor.h"

namespace hearth {

class Allocator {
 public:
  virtual ~Allocator() = default;
  virtual Device device() const = 0;
  /// Bytes aligned to 4096, zeroed on the CPU, uninitialised on CUDA, absent on Meta. kNoMemory with numbers when
  /// there is no room. `holder` says who holds them in reports ("weights smollm2", "kv smollm2").
  virtual Result<StorageRef> allocate(int64_t bytes, std::string_view holder) = 0;
  /// The same for bytes that are filled slowly: their pages are taken as they come, with Storage::take_pages() before
  /// each part is written.
  virtual Result<StorageRef> allocate_untouched(int64_t bytes, std::string_view holder) {
    return allocate(bytes, holder);
  }

  /// Whether that many bytes could be had now, in however many parts; the refusal if not. Takes nothing.
  virtual Result<void> may_allocate(int64_t /*bytes*/, std::string_view /*holder*/) { return {}; }

  /// Accounts for bytes a driver or library took unasked, for as long as the reference lives; gives no memory.
  virtual Result<StorageRef> book(int64_t bytes, std::string_view holder) = 0;

  /// One tensor with storage of its own.
  Result<Tensor> tensor(DType dtype, Shape shape, std::string_view holder);
};

/// What an allocation of `bytes` really takes from the device: drivers hand out whole granules.
int64_t allocation_bytes(Device device, int64_t bytes);

/// Memory straight from the device, without a lease: for the governor's allocator and for tests.
Result<std::byte*> raw_allocate(Device device, int64_t bytes);
void raw_free(Device device, std::byte* data, int64_t bytes) noexcept;
/// Addresses of a device whose memory is taken step by step: a GPU that shares it with the CPU, where the driver can.
/// Null for every other.
Result<std::unique_ptr<GrowingMemory>> raw_reserve(Device device, int64_t bytes);

/// An Allocator over raw_allocate with no budget: tests, tools and Meta.
class RawAllocator final : public Allocator, private StorageOwner {
 public:
  explicit RawAllocator(Device device) : device_(device) {}
  Device device() const override { return device_; }
  Result<StorageRef> allocate(int64_t bytes, std::string_view holder) override;
  Result<StorageRef> book(int64_t bytes, std::string_view holder) override;
  /// Bytes handed out and not yet returned.
  int64_t held_bytes() const { return held_.load(); }

 private:
  void release(Storage* storage) noexcept override;
  Device device_;
  std::atomic<int64_t> held_{0};
};

}  // namespace hearth
