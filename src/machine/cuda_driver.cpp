#include "machine/cuda_driver.h"

#if !defined(HEARTH_NO_DLOPEN)
#include <dlfcn.h>
#endif

#include <array>
#include <cstddef>
#include <utility>

namespace hearth::machine {
namespace {

// Numbers of CUdevice_attribute; the driver's interface never renumbers them.
constexpr std::pair<int, const char*> kAttributes[] = {
    {13, "ClockRate"}, {16, "MultiProcessorCount"}, {18, "Integrated"}, {38, "L2CacheSize"},
    {75, "ComputeCapabilityMajor"}, {76, "ComputeCapabilityMinor"}, {83, "ManagedMemory"},
    {88, "PageableMemoryAccess"}, {89, "ConcurrentManagedAccess"}, {97, "MaxSharedMemoryPerBlockOptin"},
    {99, "HostRegisterSupported"}, {100, "PageableMemoryAccessUsesHostPageTables"}};

// libcuda.so.1, or nothing in a program that cannot open libraries. It stays open: the driver does not like to leave.
class Driver {
 public:
  static const Driver* get() {
    static const Driver driver;
    return driver.is_ready_ ? &driver : nullptr;
  }

  using Initialise = int (*)(unsigned);
  using GetInt = int (*)(int*);
  using GetDevice = int (*)(int*, int);
  using GetName = int (*)(char*, int, int);
  using GetTotal = int (*)(size_t*, int);
  using GetAttribute = int (*)(int*, int, int);
  GetInt version = nullptr, count = nullptr;
  GetDevice device = nullptr;
  GetName name = nullptr;
  GetTotal total = nullptr;
  GetAttribute attribute = nullptr;

 private:
  Driver() {
#if !defined(HEARTH_NO_DLOPEN)
    library_ = ::dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
#endif
    if (!library_) return;
    Initialise initialise = nullptr;
    const bool found = find("cuInit", initialise) && find("cuDriverGetVersion", version) &&
                       find("cuDeviceGetCount", count) && find("cuDeviceGet", device) &&
                       find("cuDeviceGetName", name) && find("cuDeviceTotalMem_v2", total) &&
                       find("cuDeviceGetAttribute", attribute);
    is_ready_ = found && initialise(0) == 0;
  }

  template <class Function>
  bool find(const char* symbol, Function& function) {
#if !defined(HEARTH_NO_DLOPEN)
    function = reinterpret_cast<Function>(::dlsym(library_, symbol));
#endif
    return function != nullptr;
  }

  void* library_ = nullptr;
  bool is_ready_ = false;
};

std::string attributes_of(const Driver& driver, int device) {
  std::array<char, 256> name{};
  size_t total = 0;
  int version = 0;
  std::string text;
  if (driver.name(name.data(), static_cast<int>(name.size()) - 1, device) == 0) {
    text += std::string("Name: ") + name.data() + "\n";
  }
  if (driver.total(&total, device) == 0) text += "TotalMemory: " + std::to_string(total) + "\n";
  if (driver.version(&version) == 0) text += "DriverVersion: " + std::to_string(version) + "\n";
  for (const auto& [number, label] : kAttributes) {
    int value = 0;
    if (driver.attribute(&value, number, device) == 0) text += std::string(label) + ": " + std::to_string(value) + "\n";
  }
  return text;
}

}  // namespace

std::optional<int> cuda_driver_version() {
  const Driver* driver = Driver::get();
  int version = 0;
  if (!driver || driver->version(&version) != 0) return std::nullopt;
  return version;
}

std::vector<std::string> cuda_attribute_texts() {
  std::vector<std::string> texts;
  const Driver* driver = Driver::get();
  int count = 0;
  if (!driver || driver->count(&count) != 0) return texts;
  for (int i = 0; i < count; ++i) {
    int device = 0;
    if (driver->device(&device, i) == 0) texts.push_back(attributes_of(*driver, device));
  }
  return texts;
}

}  // namespace hearth::machine
