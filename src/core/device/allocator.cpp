#include "core/device/allocator.h"

#include <sys/mman.h>

#include <fmt/format.h>

#include "core/base/units.h"
#include "core/device/cuda.h"

namespace hearth {

Result<Tensor> Allocator::tensor(DType dtype, Shape shape, std::string_view holder) {
  Result<StorageRef> storage = allocate(row_bytes(dtype, shape.numel()), holder);
  if (!storage) return Unexpected(storage.error());
  return Tensor(std::move(*storage), dtype, shape);
}

int64_t allocation_bytes(Device device, int64_t bytes) {
  constexpr int64_t kCudaGranule = 2 * MiB;  // cudaMalloc's, on every GPU since Pascal
  return device.kind == DeviceKind::kCuda ? round_up(bytes, kCudaGranule) : bytes;
}

Result<std::byte*> raw_allocate(Device device, int64_t bytes) {
  if (device.kind == DeviceKind::kMeta || bytes == 0) return nullptr;
  if (device.kind == DeviceKind::kCuda) {
    if constexpr (cuda::kBuilt) return cuda::allocate(device.index, bytes);
    return unexpected(Code::kUnsupported, "this build has no CUDA backend");
  }
  // Pages come from the kernel zeroed and untouched: resident memory grows as the bytes are written.
  void* data = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (data == MAP_FAILED) {
    return unexpected(Code::kNoMemory, fmt::format("the system refused {} of memory", format_bytes(bytes)));
  }
  if (bytes >= 2 * MiB) madvise(data, static_cast<size_t>(bytes), MADV_HUGEPAGE);
  return static_cast<std::byte*>(data);
}

void raw_free(Device device, std::byte* data, int64_t bytes) noexcept {
  if (!data) return;
  if (device.kind == DeviceKind::kCuda) {
    if constexpr (cuda::kBuilt) cuda::release(device.index, data);
    return;
  }
  munmap(data, static_cast<size_t>(bytes));
}

Result<std::unique_ptr<GrowingMemory>> raw_reserve(Device device, int64_t bytes) {
  if constexpr (cuda::kBuilt) {
    const int gpu = device.index;
    if (device.kind == DeviceKind::kCuda && cuda::can_grow(gpu) && cuda::is_integrated(gpu)) {
      return cuda::reserve(gpu, bytes);
    }
  }
  return std::unique_ptr<GrowingMemory>();
}

Result<StorageRef> RawAllocator::allocate(int64_t bytes, std::string_view) {
  Result<std::byte*> data = raw_allocate(device_, bytes);
  if (!data) return Unexpected(data.error());
  held_ += bytes;
  return StorageRef(new Storage(this, *data, bytes));
}

Result<StorageRef> RawAllocator::book(int64_t bytes, std::string_view) {
  held_ += bytes;
  return StorageRef(new Storage(this, nullptr, bytes));
}

void RawAllocator::release(Storage* storage) noexcept {
  held_ -= storage->bytes();
  raw_free(device_, storage->data(), storage->bytes());
  delete storage;
}

}  // namespace hearth
