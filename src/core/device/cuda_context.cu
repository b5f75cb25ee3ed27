// What a context costs. cudaMemGetInfo needs one, so the reading before it comes from somewhere else: on a machine
// where CPU and GPU share memory CUDA's free bytes are the kernel's MemFree, on a discrete card NVML has them.
#include <dlfcn.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <mutex>
#include <optional>
#include <string>

#include "core/device/cuda.cuh"

namespace hearth::cuda {
namespace {

std::optional<int64_t> kernel_free_bytes() {
  std::FILE* file = std::fopen("/proc/meminfo", "r");
  if (!file) return std::nullopt;
  char line[256];
  long long kib = -1;
  while (kib < 0 && std::fgets(line, sizeof(line), file)) {
    if (std::sscanf(line, "MemFree: %lld kB", &kib) != 1) kib = -1;
  }
  std::fclose(file);
  if (kib < 0) return std::nullopt;
  return kib * 1024;
}

// NVML belongs to the driver and is looked up at run time: a machine without a driver has none.
class Nvml {
 public:
  Nvml() : library_(dlopen("libnvidia-ml.so.1", RTLD_NOW | RTLD_LOCAL)) {
    auto init = find<int (*)()>("nvmlInit_v2");
    started_ = init && init() == 0;
  }
  ~Nvml() {
    auto shutdown = find<int (*)()>("nvmlShutdown");
    if (started_ && shutdown) shutdown();
    if (library_) dlclose(library_);
  }
  Nvml(const Nvml&) = delete;
  Nvml& operator=(const Nvml&) = delete;

  std::optional<int64_t> free_bytes(int device) const {
    auto by_bus = find<int (*)(const char*, void**)>("nvmlDeviceGetHandleByPciBusId_v2");
    auto memory = find<int (*)(void*, Memory*)>("nvmlDeviceGetMemoryInfo");
    char bus[32];
    void* handle = nullptr;
    Memory bytes{};
    if (!started_ || !by_bus || !memory || cudaDeviceGetPCIBusId(bus, sizeof(bus), device) != cudaSuccess ||
        by_bus(bus, &handle) != 0 || memory(handle, &bytes) != 0) {
      cudaGetLastError();
      return std::nullopt;
    }
    return static_cast<int64_t>(bytes.free);
  }

 private:
  struct Memory {
    unsigned long long total, free, used;
  };
  template <class Function>
  Function find(const char* name) const {
    return library_ ? reinterpret_cast<Function>(dlsym(library_, name)) : nullptr;
  }

  void* library_;
  bool started_ = false;
};

int64_t make_context(int device) {
  int integrated = 0;
  require(cudaDeviceGetAttribute(&integrated, cudaDevAttrIntegrated, device), "cudaDeviceGetAttribute", device);
  Nvml nvml;
  auto free_bytes = [&] { return integrated ? kernel_free_bytes() : nvml.free_bytes(device); };
  std::optional<int64_t> before = free_bytes();
  require(cudaSetDevice(device), "cudaSetDevice", device);
  require(cudaFree(nullptr), "cudaFree", device);  // makes the context, and with it loads every module
  std::optional<int64_t> after = free_bytes();
  return before && after ? std::max<int64_t>(0, *before - *after) : 0;
}

struct Context {
  std::once_flag made;
  int64_t bytes = 0;
};

}  // namespace

int64_t select(int device) {
  static std::array<Context, 64> contexts;
  if (device_count() == 0) throw Error(Code::kDevice, "no CUDA device: " + why_none());
  if (device < 0 || device >= std::min<int>(device_count(), contexts.size())) {
    throw Error(Code::kDevice,
                "no CUDA device " + std::to_string(device) + "; this machine has " + std::to_string(device_count()));
  }
  Context& context = contexts[device];
  std::call_once(context.made, [&] { context.bytes = make_context(device); });
  require(cudaSetDevice(device), "cudaSetDevice", device);
  return context.bytes;
}

int64_t initialise(int device) { return select(device); }

}  // namespace hearth::cuda
