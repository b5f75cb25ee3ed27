// GPUs of recorded machines: a GB10 that shares the host's memory and hides half its gauges, a discrete card known
// through nvidia-smi alone, and none.
#include "machine/gpu.h"

#include <gtest/gtest.h>

#include "machine/testing/recording.h"

namespace hearth::machine {
namespace {

const Command kQuery = {"nvidia-smi",
                        "--query-gpu=index,name,compute_cap,memory.total,clocks.sm,clocks.max.sm,power.draw,"
                        "temperature.gpu,utilization.gpu,persistence_mode",
                        "--format=csv,noheader,nounits"};

TEST(Gpus, IntegratedOneHasNoMemoryOfItsOwn) {
  testing::Recording recording;
  recording.put("/gpu/0/attributes",
                "Name: NVIDIA GB10\nComputeCapabilityMajor: 12\nComputeCapabilityMinor: 1\nMultiProcessorCount: 48\n"
                "Integrated: 1\nTotalMemory: 128523284480\nDriverVersion: 13000\n");
  recording.answer(kQuery, "0, NVIDIA GB10, 12.1, [N/A], 2405, 3003, 31.20, 52, 0, Enabled\n");
  const std::vector<Gpu> gpus = read_gpus(recording.root());
  ASSERT_EQ(gpus.size(), 1u);
  EXPECT_EQ(gpus[0].compute_capability, 121);
  EXPECT_EQ(gpus[0].multiprocessors, 48);
  EXPECT_EQ(gpus[0].is_integrated, true);
  EXPECT_FALSE(gpus[0].memory_bytes);
  EXPECT_EQ(gpus[0].max_clock_mhz, 3003);
  EXPECT_EQ(gpus[0].is_persistent, true);
  EXPECT_EQ(read_nvidia_driver(recording.root()).cuda_version, 13000);
}

TEST(Gpus, DiscreteOneWithoutTheDriverLibrary) {
  testing::Recording recording;
  recording.answer(kQuery, "0, NVIDIA GeForce RTX 4090, 8.9, 24564, 210, 3105, 18.50, 38, 1, Disabled\n");
  const std::vector<Gpu> gpus = read_gpus(recording.root());
  ASSERT_EQ(gpus.size(), 1u);
  EXPECT_EQ(gpus[0].compute_capability, 89);
  EXPECT_EQ(gpus[0].memory_bytes, int64_t{24564} << 20);
  EXPECT_FALSE(gpus[0].is_integrated) << "nvidia-smi does not say";
}

TEST(Gpus, NoneWithoutDriver) {
  testing::Recording recording;
  recording.answer(kQuery, "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver.\n", 9);
  EXPECT_TRUE(read_gpus(recording.root()).empty());
  EXPECT_FALSE(read_nvidia_driver(recording.root()).kernel_version);
}

TEST(NvidiaDriver, ModuleAndLibraryHaveVersionsOfTheirOwn) {
  testing::Recording recording;
  recording.put("/proc/driver/nvidia/version",
                "NVRM version: NVIDIA UNIX Open Kernel Module for aarch64  580.95.05  Release Build\nGCC 13\n");
  recording.put("/usr/lib/aarch64-linux-gnu/libcuda.so.1", "");
  recording.put("/usr/lib/aarch64-linux-gnu/libcuda.so.580.82.09", "");
  const NvidiaDriver driver = read_nvidia_driver(recording.root());
  EXPECT_EQ(driver.kernel_version, "580.95.05");
  EXPECT_EQ(driver.library_version, "580.82.09");
}

TEST(PciDevices, NvidiaDisplayClassOnly) {
  testing::Recording recording;
  auto device = [&](const std::string& slot, const char* vendor, const char* kind) {
    recording.put("/sys/bus/pci/devices/" + slot + "/vendor", std::string(vendor) + "\n");
    recording.put("/sys/bus/pci/devices/" + slot + "/class", std::string(kind) + "\n");
    recording.put("/sys/bus/pci/devices/" + slot + "/device", "0x2e12\n");
  };
  device("000f:01:00.0", "0x10de", "0x030200");
  device("0000:01:00.0", "0x15b3", "0x020000");
  EXPECT_EQ(nvidia_pci_devices(recording.root()), std::vector<std::string>{"000f:01:00.0 10de:2e12"});
}

}  // namespace
}  // namespace hearth::machine
