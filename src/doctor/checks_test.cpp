// Each row of the table fires on the machine that breaks it and is silent on the five healthy ones.
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <set>

#include "doctor/check.h"
#include "doctor/report/report.h"
#include "doctor/testing/machines.h"

namespace hearth::doctor {
namespace {

using machine::testing::Recording;
using testing::install;
using testing::machine_folder;

struct Case {
  int row;
  const char* name;
  Verdict verdict;
  const char* word;  // of the cause, the evidence or a cure
  std::function<void(Recording&, Options&)> breaks;
  const char* base = "gb10";
};

void unit(Recording& m, const std::string& name, const std::string& command) {
  m.put("/etc/systemd/system/" + name, "[Service]\nExecStart=" + command + "\n");
}

void variable(Recording& m, const std::string& line) {
  m.put("/proc/self/environ", "HOME=/home/user\nLANG=C.UTF-8\n" + line + "\n");
}

// Both halves of a socket up, with addresses.
void link_up(Recording& m, int mtu) {
  for (const char* device : {"rocep1s0f0", "roceP2p1s0f0"}) {
    m.put(std::string("/sys/class/infiniband/") + device + "/ports/1/state", "4: ACTIVE\n");
  }
  m.answer({"ip", "-j", "addr"},
           R"([{"ifname":"enp1s0f0np0","mtu":)" + std::to_string(mtu) +
               R"(,"operstate":"UP","addr_info":[{"family":"inet","local":"192.168.100.10","scope":"global"}]},)"
               R"({"ifname":"enP2p1s0f0np0","mtu":)" + std::to_string(mtu) +
               R"(,"operstate":"UP","addr_info":[{"family":"inet","local":"192.168.101.10","scope":"global"}]}])");
}

const std::string kLlamaCache = "/home/user/llama.cpp/build/CMakeCache.txt";

// The first bytes of an ELF file for the processor of that number.
std::string elf_for(unsigned char machine) {
  std::string head(20, '\0');
  head.replace(0, 4, "\x7f" "ELF");
  head[18] = static_cast<char>(machine);
  return head;
}

const std::string kModels = "/home/user/.local/share/hearth/models";
const Command kReadTest = {"dd", "if=" + kModels + "/m.gguf", "of=/dev/null", "bs=16M", "count=16", "iflag=direct"};

// 256 MiB of a model, read in that time.
void read_test(Recording& m, Options& o, double seconds) {
  o.may_test = true;
  m.answer({"find", "-L", kModels, "-maxdepth", "3", "-type", "f", "-size", "+256M"}, kModels + "/m.gguf\n");
  m.answer(kReadTest, "16+0 records in\n16+0 records out\n268435456 bytes (268 MB, 256 MiB) copied, " +
                          std::to_string(seconds) + " s, 1 GB/s\n");
}

// A healthy server that answers the question for a token with that code.
void token_test(Recording& m, Options& o, const std::string& code) {
  o.may_test = true;
  const std::string base = "http://192.168.1.60:8188";
  m.answer({"ss", "-ltnp"}, "State Recv-Q Send-Q Local Peer Process\nLISTEN 0 128 0.0.0.0:8188 0.0.0.0:* "
                            "users:((\"hearth\",pid=901,fd=12))\n");
  m.answer({"curl", "-sS", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}", base + "/health"}, "200");
  m.answer({"curl", "-sS", "-m", "3", base + "/v1/models"}, R"({"data":[{"id":"qwen3"}]})");
  m.answer({"curl", "-sS", "-m", "60", "-o", "/dev/null", "-w", "%{http_code}", "-H", "Content-Type: application/json",
            "-d", R"({"model":"qwen3","max_tokens":1,"prompt":"Hi"})", base + "/v1/completions"},
           code);
}

constexpr Verdict kNote = Verdict::kNote, kWarning = Verdict::kWarning, kFailure = Verdict::kFailure,
                  kUnknown = Verdict::kUnknown, kOk = Verdict::kOk;

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {1, "x86Wheel", kFailure, "--force-reinstall torch",
       [](Recording& m, Options&) { install(m, "torch", "2.11.0+cu130", "cp312-cp312-manylinux_2_28_x86_64"); }},
      {1, "x86Image", kFailure, "linux/arm64",
       [](Recording& m, Options&) {
         m.answer({"docker", "image", "ls", "-q"}, "0a1b2c\n");
         m.answer({"docker", "image", "inspect", "--format", "{{.Architecture}} {{.RepoTags}}", "0a1b2c"},
                  "amd64 [ghcr.io/ggml-org/llama.cpp:server-cuda]\n");
       }},
      {1, "x86Program", kFailure, "an ELF file for x86_64",
       [](Recording& m, Options&) { m.put("/home/user/llama.cpp/build/bin/llama-server", elf_for(62)); }},
      {1, "x86Service", kFailure, "/opt/llama-server",
       [](Recording& m, Options&) {
         unit(m, "llama.service", "-/opt/llama-server --no-mmap -m m.gguf");
         m.put("/opt/llama-server", elf_for(62));
       }},
      {1, "ownProgram", kOk, "aarch64",
       [](Recording& m, Options&) { m.put("/home/user/llama.cpp/build/bin/llama-server", elf_for(183)); }},
      {1, "noUname", kUnknown, "uname", [](Recording& m, Options&) { m.forget({"uname", "-m"}); }},
      {2, "driver560", kFailure, "full-upgrade",
       [](Recording& m, Options&) { m.change("/proc/driver/nvidia/version", "580.95.05", "560.35.03"); }},
      {2, "notLoaded", kFailure, "nvidia-driver-580-open",
       [](Recording& m, Options&) {
         m.remove("/proc/driver");
         m.remove("/gpu");
         m.forget(testing::kGauges);
       }},
      {2, "nothingReadable", kUnknown, "pci", [](Recording& m, Options&) {
         m.remove("/proc/driver");
         m.remove("/gpu");
         m.remove("/sys/bus");
         m.forget(testing::kGauges);
       }},
      {3, "branch590", kWarning, "DGX OS",
       [](Recording& m, Options&) { m.change("/proc/driver/nvidia/version", "580.95.05", "590.44.01"); }},
      {3, "branch610", kWarning, "NVreg_EnableSystemMemoryPools=0",
       [](Recording& m, Options&) { m.change("/proc/driver/nvidia/version", "580.95.05", "610.10.01"); }},
      {3, "kernel6_17", kWarning, "6.17.0-1008",
       [](Recording& m, Options&) { m.put("/proc/sys/kernel/osrelease", "6.17.0-1008-nvidia\n"); }},
      {4, "mismatch", kFailure, "reboot",
       [](Recording& m, Options&) {
         m.answer({"nvidia-smi", "-L"}, "Failed to initialize NVML: Driver/library version mismatch\n", 18);
       }},
      {4, "otherLibrary", kFailure, "580.82.09",
       [](Recording& m, Options&) {
         m.remove("/usr/lib/aarch64-linux-gnu");
         m.put("/usr/lib/aarch64-linux-gnu/libcuda.so.580.82.09", "");
       }},
      {5, "torchCu126", kFailure, "cu130", [](Recording& m, Options&) { install(m, "torch", "2.8.0+cu126"); }},
      {5, "llamaWithout12", kFailure, "CMAKE_CUDA_ARCHITECTURES=121a-real",
       [](Recording& m, Options&) { m.change(kLlamaCache, "121a-real", "80-real;90a"); }},
      {5, "llamaFor120aAlone", kFailure, "built for 120a-real",
       [](Recording& m, Options&) { m.change(kLlamaCache, "121a-real", "120a-real"); }},
      {5, "llamaWithPtx", kOk, "12.1",
       [](Recording& m, Options&) { m.change(kLlamaCache, "121a-real", "80;90"); }},
      {6, "distributionNvcc", kWarning, "apt remove nvidia-cuda-toolkit",
       [](Recording& m, Options&) {
         m.answer({"which", "-a", "nvcc"}, "/usr/bin/nvcc\n/usr/local/cuda/bin/nvcc\n");
         m.answer({"nvcc", "--version"}, "Cuda compilation tools, release 12.0, V12.0.140\n");
       }},
      {6, "notOnThePath", kNote, "PATH=/usr/local/cuda/bin",
       [](Recording& m, Options&) { m.forget({"which", "-a", "nvcc"}); }},
      {7, "nvrtc128", kFailure, "12.9",
       [](Recording& m, Options&) { install(m, "nvidia_cuda_nvrtc_cu12", "12.8.93"); }},
      {8, "triton35", kWarning, "triton>=3.6", [](Recording& m, Options&) { install(m, "triton", "3.5.1"); }},
      {8, "pathToNothing", kWarning, "does not exist",
       [](Recording& m, Options&) {
         install(m, "triton", "3.5.1");
         variable(m, "TRITON_PTXAS_PATH=/opt/cuda/bin/ptxas");
       }},
      {8, "pathToAnOldOne", kWarning, "of CUDA 12.8",
       [](Recording& m, Options&) {
         install(m, "triton", "3.5.1");
         variable(m, "TRITON_PTXAS_PATH=/usr/local/cuda-12.8/bin/ptxas");
         m.put("/usr/local/cuda-12.8/bin/ptxas", "");
         m.answer({"/usr/local/cuda-12.8/bin/ptxas", "--version"}, "Cuda compilation tools, release 12.8, V12.8.93\n");
       }},
      {8, "pathToTheToolkit", kOk, "TRITON_PTXAS_PATH",
       [](Recording& m, Options&) {
         install(m, "triton", "3.5.1");
         m.remove("/home/user/comfy");
         variable(m, "TRITON_PTXAS_PATH=/usr/local/cuda/bin/ptxas");
         m.put("/usr/local/cuda/bin/ptxas", "");
         m.answer({"/usr/local/cuda/bin/ptxas", "--version"}, "Cuda compilation tools, release 13.0, V13.0.88\n");
       }},
      {8, "pathWithTriton36", kNote, "unset TRITON_PTXAS_PATH",
       [](Recording& m, Options&) { variable(m, "TRITON_PTXAS_PATH=/usr/local/cuda-12.8/bin/ptxas"); }},
      {9, "torch29", kNote, "ignore", [](Recording& m, Options&) { install(m, "torch", "2.9.1+cu130"); }},
      {10, "torchCu128", kWarning, "whl/cu130", [](Recording& m, Options&) { install(m, "torch", "2.7.0+cu128"); }},
      {10, "cuda12Beside", kWarning, "whl/cu130",
       [](Recording& m, Options&) {
         install(m, "torch", "2.9.0");
         install(m, "nvidia_cuda_runtime_cu12", "12.8.90");
       }},
      {11, "plainTorch", kWarning, "whl/cu130", [](Recording& m, Options&) { install(m, "torch", "2.9.0"); }},
      {12, "plainTarget", kWarning, "TORCH_CUDA_ARCH_LIST=12.1a",
       [](Recording& m, Options&) { variable(m, "TORCH_CUDA_ARCH_LIST=12.1"); }},
      {12, "parseBug", kWarning, "12.1a", [](Recording& m, Options&) { variable(m,
          "TORCH_CUDA_ARCH_LIST=9.0;12.1(2.0)"); }},
      {13, "vllmSource", kNote, "git checkout",
       [](Recording& m, Options&) {
         m.put("/home/user/vllm/vllm/version.py", "");
         m.put("/home/user/vllm/CMakeLists.txt",
               "cuda_archs_loose_intersection(SCALED_MM_ARCHS \"10.0f;11.0f\" \"${CUDA_ARCHS}\")\n");
       }},
      {14, "flashAttention", kNote, "CUDNN_ATTENTION", [](Recording& m, Options&) { install(m, "flash_attn",
          "2.8.3"); }},
      {14, "inTheLog", kNote, "CUDNN_ATTENTION",
       [](Recording&, Options& o) {
         o.log = "FATAL: kernel fmha_cutlassF_f16_aligned_64x128_rf_sm80 is for sm80-sm100, but was built for sm121";
       }},
      {15, "tilesTooLarge", kFailure, "99 KiB",
       [](Recording& m, Options&) {
         m.answer(testing::kServiceLog, "2026-06-02T09:00:00+0000 gb10 vllm[77]: out of resource: shared memory, "
                                        "Required: 106496, Hardware limit: 101376\n");
       }},
      {15, "oldCutlass", kWarning, "4.4.2", [](Recording& m, Options&) { install(m, "nvidia_cutlass", "4.2.1.0"); }},
      {15, "noLog", kUnknown, "--log", [](Recording& m, Options&) { m.forget(testing::kServiceLog); }},
      {16, "dsl450", kFailure, "nvidia-cutlass-dsl>=4.5.1",
       [](Recording& m, Options&) { install(m, "nvidia_cutlass_dsl", "4.5.0"); }},
      {16, "cuda1321", kFailure, "13.4.1",
       [](Recording& m, Options&) {
         m.change("/usr/local/cuda/version.json", "13.0.2", "13.2.1");
         m.change("/usr/local/cuda/version.json", "13.1.0.3", "13.4.0.1");
       }},
      {17, "tensorflow", kNote, "container", [](Recording& m, Options&) { install(m, "tensorflow", "2.20.0"); }},
      {18, "oldTensorRt", kNote, "tensorrt", [](Recording& m, Options&) { install(m, "tensorrt", "10.9.0.34"); }},
      {18, "cpuOnnx", kNote, "onnxruntime-gpu", [](Recording& m, Options&) { install(m, "onnxruntime", "1.23.0"); }},
      {19, "sage", kNote, "--use-sage-attention", [](Recording& m, Options&) { install(m, "sageattention", "2.2.0"); }},
      {19, "paddle", kNote, "leave paddlepaddle out", [](Recording& m, Options&) { install(m, "paddlepaddle",
          "3.0.0"); }},
      {20, "noRuntime", kFailure, "nvidia-ctk runtime configure",
       [](Recording& m, Options&) { m.answer(testing::kRuntimes, "{\"runc\":{\"path\":\"runc\"}}\n"); }},
      {21, "noGroup", kWarning, "usermod -aG docker",
       [](Recording& m, Options&) {
         m.answer(testing::kRuntimes, "permission denied while trying to connect to the Docker daemon socket\n", 1);
       }},
      {22, "kubernetes", kNote, "0.17.4",
       [](Recording& m, Options&) { m.put("/var/lib/kubelet/device-plugins/kubelet.sock", ""); }},
      {23, "pageCache", kWarning, "drop_caches",
       [](Recording& m, Options&) { m.change("/proc/meminfo", "108265472", "43537203"); }},
      {24, "partLayers", kWarning, "-ngl 99",
       [](Recording&, Options& o) { o.log = "load_tensors: offloaded 34/49 layers to GPU"; }},
      {24, "allLayers", kOk, "no engine", [](Recording&, Options& o) { o.log = "offloaded 49/49 layers to GPU"; }},
      {25, "planTooLarge", kFailure, "smaller quantisation",
       [](Recording&, Options& o) { o.planned_bytes = int64_t{110} << 30; }},
      {25, "nothingLeft", kFailure, "query-compute-apps",
       [](Recording& m, Options&) { m.change("/proc/meminfo", "121477530", "9437184"); }},
      {26, "pieces", kWarning, "compact_memory",
       [](Recording& m, Options&) {
         m.put("/proc/buddyinfo", "Node 0, zone   Normal 90013 81203 60874 40622 20410 9288 4190 2121 988 461 240 122 "
                                  "27 0\n");
       }},
      {26, "kernelWithSmallOrders", kUnknown, "16 MiB",
       [](Recording& m, Options&) { m.put("/proc/buddyinfo", "Node 0, zone   Normal 9 8 6 4 2 9 4 2 9 4 2\n"); }},
      {27, "wedged", kWarning, "driver ran out of memory",
       [](Recording& m, Options&) {
         m.answer(testing::kLastBoot, "2026-06-01T19:02:40+0000 gb10 kernel: NVRM: _memdescAllocInternal: "
                                      "NV_ERR_NO_MEMORY (0x51)\n");
       }},
      {27, "probesOnly", kOk, "1 allocation probes",
       [](Recording& m, Options&) {
         m.answer(testing::kKernelLog, "2026-06-01T19:02:40+0000 gb10 kernel: NVRM: nvCheckOkFailedNoLog: Check "
                                       "failed: "
                                       "Out of memory [NV_ERR_NO_MEMORY] (0x00000051)\n");
       }},
      {27, "noShutdown", kNote, "ended without a shutdown",
       [](Recording& m, Options&) {
         m.answer(testing::kLastEnd, "2026-06-01T19:02:40+0000 gb10 systemd-journald[350]: Time spent on flushing.\n");
       }},
      {27, "shutdown", kOk, "no fault",
       [](Recording& m, Options&) {
         m.answer(testing::kLastEnd, "2026-06-01T19:02:40+0000 gb10 systemd-journald[350]: Journal stopped\n");
       }},
      {27, "noRights", kUnknown, "systemd-journal",
       [](Recording& m, Options&) {
         m.forget(testing::kLastBoot);
         m.answer(testing::kKernelLog, "No journal files were opened due to insufficient permissions.\n", 1);
       }},
      {28, "neighbour", kWarning, "kill 4711",
       [](Recording& m, Options&) { m.answer(testing::kApps, "4711, /usr/bin/python3, 71680\n"); }},
      {28, "inAContainer", kWarning, "docker stop 0123456789ab",
       [](Recording& m, Options&) {
         m.answer(testing::kApps, "4711, /usr/bin/python3, 71680\n");
         m.put("/proc/4711/cgroup", "0::/system.slice/docker-0123456789abcdef0123.scope\n");
       }},
      {29, "zram", kWarning, "zramswap",
       [](Recording& m, Options&) { m.put("/proc/swaps", "Filename Type Size Used Priority\n/dev/zram0 partition 8 0 "
                                                         "100\n"); }},
      {29, "largeSwap", kWarning, "swappiness=10",
       [](Recording& m, Options&) { m.change("/proc/meminfo", "16777212", "67108864"); }},
      {29, "eagerSwap", kNote, "swappiness=10",
       [](Recording& m, Options&) { m.put("/proc/sys/vm/swappiness", "60\n"); }},
      {30, "hugePages", kWarning, "nr_hugepages",
       [](Recording& m, Options&) { m.change("/proc/meminfo", "HugePages_Total:       0", "HugePages_Total:   "
                                                                                          "20480"); }},
      {30, "largePages", kNote, "4 KiB",
       [](Recording& m, Options&) { m.answer({"getconf", "PAGESIZE"}, "65536\n"); }},
      {30, "largePages610", kWarning, "Xid 31",
       [](Recording& m, Options&) {
         m.answer({"getconf", "PAGESIZE"}, "65536\n");
         m.change("/proc/driver/nvidia/version", "580.95.05", "610.10.01");
       }},
      {31, "fullShm", kWarning, "/dev/shm",
       [](Recording& m, Options&) {
         m.answer({"df", "-Pk", "/dev/shm"}, "Filesystem 1024-blocks Used Available Capacity Mounted on\n"
                                             "tmpfs 67108864 20971520 46137344 32% /dev/shm\n");
       }},
      {32, "limit", kNote, "budget",
       [](Recording& m, Options&) {
         m.put("/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope/memory.max", "8589934592\n");
       }},
      {33, "desktop", kNote, "multi-user.target",
       [](Recording& m, Options&) {
         m.answer({"systemctl", "get-default"}, "graphical.target\n");
         m.answer({"systemctl", "is-active", "display-manager"}, "active\n");
       }},
      {34, "lowPower", kFailure, "60 s", [](Recording& m, Options&) { testing::gauge(m, 630, 16.2, 48, 95); }},
      {34, "fullPower", kOk, "2405 MHz", [](Recording& m, Options&) { testing::gauge(m, 2405, 71.0, 74, 96); }},
      {34, "idle", kUnknown, "idle", [](Recording& m, Options&) { testing::gauge(m, 208, 4.3, 41, 0); }},
      {35, "lockedHigh", kNote, "-lgc 300,2200",
       [](Recording& m, Options&) { unit(m, "gpu-clocks.service", "/usr/bin/nvidia-smi -lgc 3003,3003"); }},
      {35, "boost", kNote, "not known",
       [](Recording& m, Options&) { unit(m, "gpu-boost.service", "/usr/bin/nvidia-smi boost-slider --vboost 1"); }},
      {36, "slowState", kWarning, "140 GB/s", [](Recording&, Options& o) { o.measured_gb_per_s = 140; }},
      {36, "fast", kOk, "231 GB/s", [](Recording&, Options& o) { o.measured_gb_per_s = 231; }},
      {37, "noPersistence", kNote, "nvidia-persistenced",
       [](Recording& m, Options&) { testing::gauge(m, 208, 4.3, 41, 0, false); }},
      {38, "hot", kWarning, "-lgc 300,2200", [](Recording& m, Options&) { testing::gauge(m, 2405, 78, 91, 96); }},
      {38, "slowdown", kWarning, "-lgc 300,2200",
       [](Recording& m, Options&) { m.answer(testing::kReasons, "Active, Not Active, Not Active\n"); }},
      {38, "prochot", kWarning, "hwmon",
       [](Recording& m, Options&) {
         m.put("/sys/class/hwmon/hwmon4/name", "spbm\n");
         m.put("/sys/class/hwmon/hwmon4/prochot", "1\n");
       }},
      {39, "firmware", kNote, "fwupdmgr update",
       [](Recording& m, Options&) { m.answer(testing::kUpdates, "UEFI Device Firmware:\n  New version: "
                                                                "0x02009009\n"); }},
      {39, "mailbox", kNote, "DOE",
       [](Recording& m, Options&) {
         m.answer(testing::kKernelLog, "2026-06-02T08:11:09+0000 gb10 kernel: pci 0000:01:00.0: DOE: [2c8] mailbox "
                                       "timeout\n");
       }},
      {40, "fallback", kNote, "multiples of 64",
       [](Recording&, Options& o) { o.log = "linear: falling back to the fp32 kernel for shape 77x2043"; }},
      {41, "nfs", kWarning, "NVMe",
       [](Recording& m, Options&) {
         m.put("/proc/self/mounts", "/dev/nvme0n1p2 / ext4 rw 0 0\nnas:/models /home/user/.local/share nfs4 rw 0 0\n");
       }},
      {41, "hardDisk", kWarning, "hard disk",
       [](Recording& m, Options&) { m.put("/sys/block/nvme0n1/queue/rotational", "1\n"); }},
      {41, "slowInTheTest", kWarning, "46 GB take 230 s", [](Recording& m, Options& o) { read_test(m, o, 1.342177); }},
      {41, "fastInTheTest", kOk, "5.37 GB/s", [](Recording& m, Options& o) { read_test(m, o, 0.05); }},
      {41, "withoutDirectReads", kUnknown, "Invalid argument",
       [](Recording& m, Options& o) {
         read_test(m, o, 0.05);
         m.answer(kReadTest, "dd: failed to open 'm.gguf': Invalid argument\n", 1);
       }},
      {42, "full", kFailure, "du -xh",
       [](Recording& m, Options&) {
         m.answer({"df", "-Pk", "/home/user/.local/share/hearth/models"},
                  "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/nvme0n1p2 3844552688 3844000000 "
                  "552688 "
                  "100% /\n");
       }},
      {42, "noNamesLeft", kFailure, "no names for new files",
       [](Recording& m, Options&) {
         m.answer({"df", "-Pi", kModels}, "Filesystem Inodes IUsed IFree IUse% Mounted on\n/dev/nvme0n1p2 244195328 "
                                          "244195300 28 100% /\n");
       }},
      {43, "mapped", kNote, "--no-mmap",
       [](Recording& m, Options&) { unit(m, "llama.service", "/opt/llama-server -m m.gguf -c 131072"); }},
      {44, "noCaching", kNote, "cudaMalloc",
       [](Recording& m, Options&) { variable(m, "PYTORCH_NO_CUDA_MEMORY_CACHING=1"); }},
      {44, "inAUnit", kNote, "vllm.service",
       [](Recording& m, Options&) {
         m.put("/etc/systemd/system/vllm.service", "[Service]\nEnvironment=\"LD_LIBRARY_PATH=/opt/cudnn/lib\"\n");
       }},
      {45, "systemPackages", kNote, "venv",
       [](Recording& m, Options&) {
         m.put("/usr/local/lib/python3.12/dist-packages/torch-2.11.0+cu130.dist-info/WHEEL",
               "Tag: cp312-cp312-linux_aarch64\n");
       }},
      {46, "taken", kFailure, "--port 8189",
       [](Recording& m, Options&) {
         m.answer({"ss", "-ltnp"}, "State Recv-Q Send-Q Local Peer Process\nLISTEN 0 128 0.0.0.0:8188 0.0.0.0:* "
                                   "users:((\"python3\",pid=901,fd=12))\n");
       }},
      {46, "localOnly", kNote, "--host 0.0.0.0",
       [](Recording& m, Options&) {
         m.answer({"ss", "-ltnp"}, "State Recv-Q Send-Q Local Peer Process\nLISTEN 0 128 127.0.0.1:8188 0.0.0.0:* "
                                   "users:((\"hearth\",pid=901,fd=12))\n");
       }},
      {46, "withoutSs", kNote, "ss -ltnp",
       [](Recording& m, Options&) {
         m.forget({"ss", "-ltnp"});
         m.put("/proc/net/tcp", "  sl  local_address rem_address   st\n   0: 00000000:1FFC 00000000:0000 0A 0 0\n");
       }},
      {47, "halfStarted", kWarning, "503",
       [](Recording& m, Options&) {
         m.answer({"ss", "-ltnp"}, "State Recv-Q Send-Q Local Peer Process\nLISTEN 0 128 0.0.0.0:8188 0.0.0.0:* "
                                   "users:((\"hearth\",pid=901,fd=12))\n");
         m.answer({"curl", "-sS", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}",
                   "http://192.168.1.60:8188/health"}, "503");
       }},
      {47, "onThisMachineOnly", kOk, "127.0.0.1:8188/health",
       [](Recording& m, Options&) {
         m.answer({"ss", "-ltnp"}, "State Recv-Q Send-Q Local Peer Process\nLISTEN 0 128 127.0.0.1:8188 0.0.0.0:* "
                                   "users:((\"hearth\",pid=901,fd=12))\n");
         m.answer({"curl", "-sS", "-m", "3", "-o", "/dev/null", "-w", "%{http_code}", "http://127.0.0.1:8188/health"},
                  "200");
       }},
      {47, "noToken", kWarning, "still loading",
       [](Recording& m, Options& o) { token_test(m, o, "503"); }},
      {47, "token", kOk, "a token of qwen3", [](Recording& m, Options& o) { token_test(m, o, "200"); }},
      {47, "wantsAKey", kUnknown, "key", [](Recording& m, Options& o) { token_test(m, o, "401"); }},
      {47, "refuses", kUnknown, "refused", [](Recording& m, Options& o) { token_test(m, o, "400"); }},
      {48, "fewFiles", kWarning, "nofile 65536",
       [](Recording& m, Options&) {
         m.put("/proc/self/limits", "Max open files            1024                 4096                 files\n"
                                    "Max locked memory         unlimited            unlimited            bytes\n");
       }},
      {48, "lockedMemory", kWarning, "memlock unlimited", [](Recording& m, Options&) { link_up(m, 9000); }},
      {49, "splitContext", kNote, "--parallel 1",
       [](Recording& m, Options&) {
         unit(m, "llama.service", "/opt/llama-server --no-mmap -m m.gguf -c 65536 --parallel 4");
       }},
      {50, "oldLlama", kNote, "Gated DeltaNet",
       [](Recording& m, Options&) { m.change("/home/user/llama.cpp/build/common/build-info.cpp", "7904", "7100"); }},
      {51, "oneHalf", kWarning, "NCCL_IB_HCA=roceP2p1s0f0,rocep1s0f0",
       [](Recording& m, Options&) {
         link_up(m, 9000);
         m.put("/sys/class/infiniband/roceP2p1s0f0/ports/1/state", "1: DOWN\n");
       }},
      {51, "shortFrames", kWarning, "mtu 9000", [](Recording& m, Options&) { link_up(m, 1500); }},
      {51, "wellWired", kOk, "up with addresses", [](Recording& m, Options&) { link_up(m, 9000); }},
      {52, "pinned", kWarning, "unset NCCL_IB_GID_INDEX", [](Recording& m, Options&) { variable(m,
          "NCCL_IB_GID_INDEX=3"); }},
      {52, "emptyIsPinned", kWarning, "unset NCCL_IB_GID_INDEX",
       [](Recording& m, Options&) { variable(m, "NCCL_IB_GID_INDEX="); }},
      {53, "wrongName", kWarning, "enP7s7", [](Recording& m, Options&) { variable(m, "NCCL_SOCKET_IFNAME=eth0"); }},
      {54, "clock", kNote, "set-ntp",
       [](Recording& m, Options&) { m.answer({"timedatectl", "show"}, "NTP=no\nNTPSynchronized=no\n"); }},
      {54, "cLocale", kNote, "C.UTF-8",
       [](Recording& m, Options&) { m.put("/proc/self/environ", "HOME=/home/user\nLANG=C\n"); }},
      {55, "wireless", kNote, "cable",
       [](Recording& m, Options&) {
         m.answer({"ip", "route", "show", "default"},
                  "default via 192.168.1.1 dev wlP9s9 proto dhcp src 192.168.1.61 metric 600\n");
       }},
      {55, "leased", kNote, "nmcli",
       [](Recording& m, Options&) {
         m.answer({"ip", "route", "show", "default"},
                  "default via 192.168.1.1 dev enP7s7 proto dhcp src 192.168.1.60 metric 100\n");
       }},
  };
  return all;
}

std::string told(const Outcome& outcome) {
  std::string text = outcome.cause + "\n";
  for (const Evidence& evidence : outcome.evidence) text += evidence.where + ": " + evidence.what + "\n";
  for (const Cure& cure : outcome.cures) text += cure.command + " # " + cure.why + "\n";
  return text;
}

Outcome run_row(const machine::Root& root, const Options& options, int row) {
  const Context context(root, options);
  const std::vector<std::string> only = {std::to_string(row)};
  const std::vector<Finding> findings = run_checks(context, only);
  return findings.size() == 1 ? findings[0].outcome : Outcome{.cause = "no such row"};
}

// Advice that is known to be wrong stays out of every cure.
void expect_no_known_harm(const Outcome& outcome) {
  for (const Cure& cure : outcome.cures) {
    for (const std::string& bad : testing::kForbidden) {
      EXPECT_EQ((cure.command + " ").find(bad), std::string::npos) << bad << " in: " << cure.command;
    }
  }
}

class BrokenMachine : public ::testing::TestWithParam<Case> {};

TEST_P(BrokenMachine, IsFound) {
  const Case& broken = GetParam();
  Recording machine(machine_folder(broken.base));
  Options options;
  broken.breaks(machine, options);
  const Outcome outcome = run_row(machine.root(), options, broken.row);
  EXPECT_EQ(name_of(outcome.verdict), name_of(broken.verdict)) << told(outcome);
  EXPECT_NE(told(outcome).find(broken.word), std::string::npos) << "wanted: " << broken.word << "\n" << told(outcome);
  expect_no_known_harm(outcome);
  const bool is_bad = outcome.verdict == Verdict::kWarning || outcome.verdict == Verdict::kFailure;
  if (is_bad) {
    EXPECT_FALSE(outcome.cures.empty()) << told(outcome);
    EXPECT_FALSE(outcome.evidence.empty()) << told(outcome);
    EXPECT_FALSE(outcome.cause.empty());
  }
}

INSTANTIATE_TEST_SUITE_P(Rows, BrokenMachine, ::testing::ValuesIn(cases()), [](const auto& info) {
  return "Row" + std::to_string(info.param.row) + "_" + info.param.name;
});

TEST(Checks, EveryRowHasABrokenMachine) {
  std::set<int> broken;
  for (const Case& one : cases()) {
    if (one.verdict != Verdict::kOk && one.verdict != Verdict::kUnknown) broken.insert(one.row);
  }
  for (int row = 1; row <= 55; ++row) EXPECT_TRUE(broken.count(row)) << "row " << row;
}

TEST(Checks, ThereIsOneForEachRowAndIdsAreDistinct) {
  std::set<int> rows;
  std::set<std::string> ids;
  for (const Check& check : checks()) {
    EXPECT_TRUE(rows.insert(check.row).second) << check.row;
    EXPECT_TRUE(ids.insert(check.id).second) << check.id;
  }
  EXPECT_EQ(rows.size(), 55u);
  EXPECT_EQ(*rows.begin(), 1);
  EXPECT_EQ(*rows.rbegin(), 55);
}

TEST(Checks, AreSilentOnHealthyMachines) {
  for (const std::string& name : testing::kHealthy) {
    const Context context(machine::Root(machine_folder(name)), {});
    const std::vector<Finding> findings = run_checks(context);
    EXPECT_EQ(findings.size(), 55u);
    EXPECT_EQ(exit_code(findings), 0) << name;
    for (const Finding& finding : findings) {
      const Verdict verdict = finding.outcome.verdict;
      EXPECT_TRUE(verdict == Verdict::kOk || verdict == Verdict::kNote || verdict == Verdict::kUnknown)
          << name << ", row " << finding.check->row << ": " << name_of(verdict) << "\n" << told(finding.outcome);
    }
  }
}

// What the GB10's own rows read is there in its recording: none of them is silent because it could not look.
TEST(Checks, TheGb10IsKnownWell) {
  const Context context(machine::Root(machine_folder("gb10")), {});
  std::map<int, std::string> unknown;
  for (const Finding& finding : run_checks(context)) {
    if (finding.outcome.verdict == Verdict::kUnknown) unknown[finding.check->row] = finding.outcome.cause;
  }
  // Load (34) needs a busy GPU and bandwidth (36) a measurement.
  EXPECT_EQ(unknown.size(), 2u);
  EXPECT_TRUE(unknown.count(34) && unknown.count(36));
}

TEST(Checks, NothingReadableIsUnknownAndNeverFails) {
  const Recording nothing;
  const Context context(nothing.root(), {});
  const std::vector<Finding> findings = run_checks(context);
  EXPECT_EQ(exit_code(findings), 0);
  int unknown = 0;
  for (const Finding& finding : findings) {
    unknown += finding.outcome.verdict == Verdict::kUnknown;
    const bool claims = finding.outcome.verdict == Verdict::kWarning || finding.outcome.verdict == Verdict::kFailure;
    EXPECT_FALSE(claims) << finding.check->id << ": " << told(finding.outcome);
    if (finding.outcome.verdict == Verdict::kUnknown) {
      EXPECT_FALSE(finding.outcome.cause.empty()) << finding.check->id << " does not say what could not be read";
    }
  }
  EXPECT_GE(unknown, 40);
}

TEST(Checks, ExitCodeIsTheWorstVerdict) {
  const Check check{1, "x", Topic::kDriver, "", "", nullptr};
  auto code = [&](std::vector<Verdict> verdicts) {
    std::vector<Finding> findings;
    for (Verdict verdict : verdicts) findings.push_back({&check, {.verdict = verdict}});
    return exit_code(findings);
  };
  EXPECT_EQ(code({Verdict::kOk, Verdict::kNote, Verdict::kUnknown}), 0);
  EXPECT_EQ(code({Verdict::kWarning, Verdict::kOk}), 1);
  EXPECT_EQ(code({Verdict::kFailure, Verdict::kWarning}), 2);
}

}  // namespace
}  // namespace hearth::doctor
