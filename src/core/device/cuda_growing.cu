// Memory that grows, by the driver's virtual memory management. Its calls belong to the driver and are looked up at run
// time: a machine without a driver has none.
#include <cudaTypedefs.h>

#include <algorithm>
#include <vector>

#include "core/base/check.h"
#include "core/base/units.h"
#include "core/device/cuda.cuh"

namespace hearth::cuda {
namespace {

struct Driver {
  PFN_cuDeviceGetAttribute_v2000 attribute = nullptr;
  PFN_cuMemGetAllocationGranularity_v10020 granularity = nullptr;
  PFN_cuMemAddressReserve_v10020 reserve = nullptr;
  PFN_cuMemAddressFree_v10020 free_addresses = nullptr;
  PFN_cuMemCreate_v10020 create = nullptr;
  PFN_cuMemRelease_v10020 release = nullptr;
  PFN_cuMemMap_v10020 map = nullptr;
  PFN_cuMemUnmap_v10020 unmap = nullptr;
  PFN_cuMemSetAccess_v10020 set_access = nullptr;
  bool is_complete = false;
};

template <class Function>
bool find(const char* name, Function& function) {
  constexpr unsigned kVersion = 10020;  // the CUDA whose form of each function the types above are
  void* symbol = nullptr;
  cudaDriverEntryPointQueryResult found{};
  if (cudaGetDriverEntryPointByVersion(name, &symbol, kVersion, cudaEnableDefault, &found) != cudaSuccess) {
    cudaGetLastError();
    return false;
  }
  function = reinterpret_cast<Function>(symbol);
  return found == cudaDriverEntryPointSuccess && symbol;
}

Driver find_driver() {
  Driver d;
  d.is_complete = find("cuDeviceGetAttribute", d.attribute) && find("cuMemGetAllocationGranularity", d.granularity) &&
                  find("cuMemAddressReserve", d.reserve) && find("cuMemAddressFree", d.free_addresses) &&
                  find("cuMemCreate", d.create) && find("cuMemRelease", d.release) && find("cuMemMap", d.map) &&
                  find("cuMemUnmap", d.unmap) && find("cuMemSetAccess", d.set_access);
  return d;
}

const Driver& driver() {
  static const Driver once = find_driver();
  return once;
}

// Nothing beyond the place: a GB10 refuses memory that asks to be reached by RDMA.
CUmemAllocationProp plain_memory_on(int device) {
  CUmemAllocationProp kind{};
  kind.type = CU_MEM_ALLOCATION_TYPE_PINNED;
  kind.location.type = CU_MEM_LOCATION_TYPE_DEVICE;
  kind.location.id = device;
  return kind;
}

// The driver and the runtime number their errors alike. Throws unless memory is all that is missing.
Result<void> ended_with(CUresult status, const char* call, int device, const std::string& wanted) {
  if (status == CUDA_SUCCESS) return {};
  if (status != CUDA_ERROR_OUT_OF_MEMORY) require(static_cast<cudaError_t>(status), call, device);
  return unexpected(Code::kNoMemory, Device{DeviceKind::kCuda, device}.text() + " refused " + wanted);
}

class MappedMemory final : public GrowingMemory {
 public:
  /// `bytes` are whole granules.
  MappedMemory(int device, int64_t bytes, int64_t granule) : device_(device), bytes_(bytes), granule_(granule) {}

  ~MappedMemory() override {
    if (fence_) cuda::release(device_, fence_);
    if (cudaSetDevice(device_) == cudaSuccess) {
      // Each part by itself: what was mapped at once is unmapped at once.
      CUdeviceptr at = begin_;
      for (int64_t part : parts_) {
        driver().unmap(at, static_cast<size_t>(part));
        at += static_cast<CUdeviceptr>(part);
      }
      if (begin_ != 0) driver().free_addresses(begin_, static_cast<size_t>(bytes_));
    }
    cudaGetLastError();
  }

  Result<void> reserve() {
    Result<std::byte*> fence = cuda::allocate(device_, 1);
    if (!fence) return Unexpected(fence.error());
    fence_ = *fence;
    CUresult status = driver().reserve(&begin_, static_cast<size_t>(bytes_), static_cast<size_t>(granule_), 0, 0);
    return ended_with(status, "cuMemAddressReserve", device_, "addresses for " + format_bytes(bytes_));
  }

  std::byte* data() const override { return reinterpret_cast<std::byte*>(begin_); }

  Result<void> grow(int64_t bytes) override {
    select(device_);
    const int64_t part = std::min(round_up(bytes, granule_), bytes_ - grown_);
    check(part > 0, "memory grows within its addresses");
    const std::string wanted =
        format_bytes(part) + " more after " + format_bytes(grown_) + " of " + format_bytes(bytes_);
    parts_.reserve(parts_.size() + 1);
    CUmemGenericAllocationHandle pages = 0;
    const CUmemAllocationProp kind = plain_memory_on(device_);
    Result<void> taken =
        ended_with(driver().create(&pages, static_cast<size_t>(part), &kind, 0), "cuMemCreate", device_, wanted);
    if (!taken) return taken;
    const CUresult status = map(pages, part);
    driver().release(pages);  // what is mapped stays until it is unmapped
    if (status != CUDA_SUCCESS) return ended_with(status, "cuMemMap", device_, wanted);
    parts_.push_back(part);
    grown_ += part;
    return {};
  }

 private:
  CUresult map(CUmemGenericAllocationHandle pages, int64_t bytes) const {
    const CUdeviceptr at = begin_ + static_cast<CUdeviceptr>(grown_);
    const auto size = static_cast<size_t>(bytes);
    if (CUresult status = driver().map(at, size, 0, pages, 0); status != CUDA_SUCCESS) return status;
    CUmemAccessDesc access{};
    access.location = plain_memory_on(device_).location;
    access.flags = CU_MEM_ACCESS_FLAGS_PROT_READWRITE;
    const CUresult status = driver().set_access(at, size, &access, 1);
    if (status != CUDA_SUCCESS) driver().unmap(at, size);
    return status;
  }

  const int device_;
  const int64_t bytes_, granule_;
  CUdeviceptr begin_ = 0;
  int64_t grown_ = 0;
  std::vector<int64_t> parts_;
  // cudaFree waits until the device is idle and unmapping may not; waiting for the device in any other way would break
  // a capture of another thread.
  std::byte* fence_ = nullptr;
};

}  // namespace

bool can_grow(int device) {
  if (device < 0 || device >= device_count() || !driver().is_complete) return false;
  int is_supported = 0;
  const CUresult status =
      driver().attribute(&is_supported, CU_DEVICE_ATTRIBUTE_VIRTUAL_MEMORY_MANAGEMENT_SUPPORTED, device);
  return status == CUDA_SUCCESS && is_supported != 0;
}

Result<std::unique_ptr<GrowingMemory>> reserve(int device, int64_t bytes) {
  select(device);
  check(bytes > 0 && can_grow(device), "memory grows on a device that can");
  const CUmemAllocationProp kind = plain_memory_on(device);
  size_t granule = 0;
  const CUresult status = driver().granularity(&granule, &kind, CU_MEM_ALLOC_GRANULARITY_MINIMUM);
  require(static_cast<cudaError_t>(status), "cuMemGetAllocationGranularity", device);
  const auto step = static_cast<int64_t>(granule);
  auto memory = std::make_unique<MappedMemory>(device, round_up(bytes, step), step);
  if (Result<void> reserved = memory->reserve(); !reserved) return Unexpected(reserved.error());
  return std::unique_ptr<GrowingMemory>(std::move(memory));
}

}  // namespace hearth::cuda
