#include "core/device/cuda.cuh"

#include <array>
#include <atomic>
#include <cstdlib>

#include "core/base/units.h"

namespace hearth::cuda {
namespace {

constexpr int kMaxDevices = 64;
std::array<std::atomic<bool>, kMaxDevices> g_lost;  // set once, never cleared: only a new process has the device again

// After one of these every later call of the process fails the same way.
bool is_sticky(cudaError_t status) {
  switch (status) {
    case cudaErrorIllegalAddress:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorHardwareStackError:
    case cudaErrorIllegalInstruction:
    case cudaErrorMisalignedAddress:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorNvlinkUncorrectable:
    case cudaErrorDevicesUnavailable:
    case cudaErrorContained:
    case cudaErrorMpsClientTerminated:
    case cudaErrorExternalDevice: return true;
    default: return false;
  }
}

int current_device() {
  int device = 0;
  return cudaGetDevice(&device) == cudaSuccess ? device : 0;
}

// Text is put together by hand: nvcc 13 does not compile fmt 9.
std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string device_text(int device) { return Device{DeviceKind::kCuda, device}.text(); }

struct Probe {
  int count = 0;
  std::string why_none;
};

std::string explain(cudaError_t status) {
  int driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    return "no NVIDIA driver: libcuda.so.1 was not found or does not answer";
  }
  if (status == cudaErrorInsufficientDriver) {
    return "the NVIDIA driver supports CUDA " + version_text(driver) + ", this build needs " +
           version_text(CUDART_VERSION) + ": install driver 580 or later";
  }
  if (status == cudaErrorNoDevice) return "the NVIDIA driver sees no GPU (or CUDA_VISIBLE_DEVICES hides them)";
  return std::string("CUDA does not start: ") + cudaGetErrorString(status);
}

Probe run_probe() {
  // Read when CUDA starts. A kernel loaded at its first launch would take memory unasked, and inside a capture.
  setenv("CUDA_MODULE_LOADING", "EAGER", 1);
  Probe probe;
  cudaError_t status = cudaGetDeviceCount(&probe.count);
  if (status != cudaSuccess || probe.count == 0) {
    cudaGetLastError();
    probe.count = 0;
    probe.why_none = explain(status == cudaSuccess ? cudaErrorNoDevice : status);
  }
  return probe;
}

const Probe& probe() {
  static const Probe once = run_probe();
  return once;
}

int attribute(int device, cudaDeviceAttr which) {
  int value = 0;
  require(cudaDeviceGetAttribute(&value, which, device), "cudaDeviceGetAttribute", device);
  return value;
}

void copy(Stream stream, void* to, const void* from, int64_t bytes, cudaMemcpyKind kind) {
  if (bytes == 0) return;
  enter(stream);
  require(cudaMemcpyAsync(to, from, static_cast<size_t>(bytes), kind, raw(stream)), "cudaMemcpyAsync");
}

}  // namespace

void require(cudaError_t status, std::string_view call, int device, std::source_location where) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // what is not sticky must not show up in the next call
  if (device < 0) device = current_device();
  if (is_sticky(status) && device < kMaxDevices) g_lost[device] = true;
  throw Error(Code::kDevice,
              std::string(call) + " on " + device_text(device) + ": " + cudaGetErrorString(status) + " (" +
                  cudaGetErrorName(status) + ")",
              where);
}

void enter(Stream stream) {
  if (device_count() < 2 || !stream) return;
  int device = 0;
  require(cudaStreamGetDevice(raw(stream), &device), "cudaStreamGetDevice");
  require(cudaSetDevice(device), "cudaSetDevice", device);
}

int device_count() noexcept { return probe().count; }
std::string why_none() { return probe().why_none; }
bool is_lost(int device) noexcept { return device >= 0 && device < kMaxDevices && g_lost[device]; }

Caps caps(int device) {  // needs no context, and must not make one before somebody asks what it costs
  if (device_count() == 0) throw Error(Code::kDevice, "no CUDA device: " + why_none());
  cudaDeviceProp properties{};
  require(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties", device);
  Caps caps;
  caps.target = DeviceKind::kCuda;
  caps.sm = 10 * properties.major + properties.minor;
  caps.multiprocessors = properties.multiProcessorCount;
  caps.shared_bytes = attribute(device, cudaDevAttrMaxSharedMemoryPerBlockOptin);
  caps.is_integrated = is_integrated(device);
  caps.name = properties.name;
  return caps;
}

bool is_integrated(int device) { return attribute(device, cudaDevAttrIntegrated) != 0; }

std::string bus_id(int device) {
  char text[32] = {};
  require(cudaDeviceGetPCIBusId(text, sizeof text, device), "cudaDeviceGetPCIBusId", device);
  return text;
}

MemoryInfo memory_info(int device) {
  select(device);
  size_t free = 0, total = 0;
  require(cudaMemGetInfo(&free, &total), "cudaMemGetInfo", device);
  return {static_cast<int64_t>(free), static_cast<int64_t>(total)};
}

Result<std::byte*> allocate(int device, int64_t bytes) {
  select(device);
  void* data = nullptr;
  cudaError_t status = cudaMalloc(&data, static_cast<size_t>(bytes));
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return unexpected(Code::kNoMemory, device_text(device) + " refused " + format_bytes(bytes) + "; " +
                                           format_bytes(memory_info(device).free_bytes) + " are free");
  }
  require(status, "cudaMalloc", device);
  return static_cast<std::byte*>(data);
}

void release(int device, std::byte* data) noexcept {
  if (cudaSetDevice(device) == cudaSuccess) cudaFree(data);
  cudaGetLastError();
}

Result<std::byte*> allocate_pinned(int64_t bytes) {
  select(current_device());
  void* data = nullptr;
  cudaError_t status = cudaHostAlloc(&data, static_cast<size_t>(bytes), cudaHostAllocPortable);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    return unexpected(Code::kNoMemory, "the system refused " + format_bytes(bytes) + " of page-locked memory");
  }
  require(status, "cudaHostAlloc");
  return static_cast<std::byte*>(data);
}

void release_pinned(std::byte* data) noexcept {
  cudaFreeHost(data);
  cudaGetLastError();
}

Stream create_stream(int device) {
  select(device);
  cudaStream_t stream = nullptr;
  require(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "cudaStreamCreateWithFlags", device);
  return stream;
}

void destroy_stream(int device, Stream stream) noexcept {
  if (cudaSetDevice(device) == cudaSuccess) cudaStreamDestroy(raw(stream));
  cudaGetLastError();
}

void synchronize(int device, Stream stream) {
  require(cudaStreamSynchronize(raw(stream)), "cudaStreamSynchronize", device);
}

void copy_to_device(Stream stream, void* to, const void* from, int64_t bytes) {
  copy(stream, to, from, bytes, cudaMemcpyHostToDevice);
}

void copy_to_host(Stream stream, void* to, const void* from, int64_t bytes) {
  copy(stream, to, from, bytes, cudaMemcpyDeviceToHost);
}

void copy_on_device(Stream stream, void* to, const void* from, int64_t bytes) {
  copy(stream, to, from, bytes, cudaMemcpyDeviceToDevice);
}

void fill(Stream stream, void* to, uint8_t byte, int64_t bytes) {
  if (bytes == 0) return;
  enter(stream);
  require(cudaMemsetAsync(to, byte, static_cast<size_t>(bytes), raw(stream)), "cudaMemsetAsync");
}

}  // namespace hearth::cuda
