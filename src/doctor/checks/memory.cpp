// Rows 23 to 26 and 28 to 31: the one memory, and who else wants it.
#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "core/base/units.h"
#include "doctor/checks/all.h"
#include "doctor/checks/common.h"
#include "governor/pressure/floors.h"

namespace hearth::doctor {
namespace {

constexpr const char* kMeminfo = "/proc/meminfo";

Outcome page_cache(const Context& context) {
  if (std::optional<Outcome> outcome = unless_unified(context)) return *outcome;
  const machine::HostMemory& memory = context.memory();
  if (!memory.total_bytes || !memory.free_bytes || !memory.available_bytes) {
    return unknown(std::string(kMeminfo) + " could not be read");
  }
  const int64_t hidden = *memory.available_bytes - *memory.free_bytes;
  const std::string numbers = "MemFree " + format_bytes(*memory.free_bytes) + ", MemAvailable " +
                              format_bytes(*memory.available_bytes);
  if (hidden < *memory.total_bytes / 4) return ok().saw(kMeminfo, numbers);
  return warning("the page cache holds " + format_bytes(hidden) + ": cudaMemGetInfo counts it as used, so vLLM and "
                                                                  "others "
                 "refuse to start although it could be given back")
      .saw(kMeminfo, numbers)
      .by_hand("sync; echo 3 | sudo tee /proc/sys/vm/drop_caches",
               "as a diagnosis only: it comes back with the next model that is read through the cache")
      .advise("load with direct reads (Hearth does; llama.cpp with --no-mmap), and size by MemAvailable");
}

// "offloaded 34/49 layers to GPU" -> a line that puts fewer on the GPU than there are.
bool is_partial(const std::string& line) {
  constexpr std::string_view kHead = "offloaded ";
  const size_t at = line.find(kHead);
  if (at == line.npos || !contains(line, "layers to GPU")) return false;
  int part = 0, whole = 0;
  return std::sscanf(line.c_str() + at + kHead.size(), "%d/%d", &part, &whole) == 2 && part < whole;
}

Outcome placement(const Context& context) {
  if (std::optional<Outcome> outcome = unless_unified(context)) return *outcome;
  if (!context.program_log()) {
    return unknown("no log to look at: the journal cannot be read; give one with --log FILE");
  }
  for (const std::string& line : machine::lines_of(*context.program_log())) {
    if (!is_partial(line)) continue;
    return warning("an engine left layers on the CPU: it sizes by cudaMemGetInfo, which leaves the page cache out")
        .saw("log", trimmed(line))
        .by_hand("llama-server -ngl 99 --no-mmap ...", "all layers, when they fit with the reserve to spare")
        .advise("vLLM: --gpu-memory-utilization 0.85 at most, of all memory; Hearth takes a budget in bytes");
  }
  return ok().saw("log", "no engine says that it left layers on the CPU");
}

Outcome room(const Context& context) {
  const machine::HostMemory& memory = context.memory();
  const std::optional<int64_t> room = machine::room_bytes(memory, context.is_unified());
  if (!memory.total_bytes || !room) return unknown(std::string(kMeminfo) + " could not be read");
  const int64_t planned = context.options().planned_bytes;
  if (planned == 0 && !context.is_unified()) return ok("nothing is planned: name what you will load with --needs 70G");
  const int64_t reserve = governor::reserve_for(*memory.total_bytes);
  const std::string numbers = format_bytes(*room) + " available, " + format_bytes(reserve) + " to be left free, " +
                              format_bytes(planned) + " planned";
  if (*room - planned >= reserve) return ok().saw(kMeminfo, numbers);
  return failure(planned > 0 ? "what is planned would leave the host less than it needs: on one memory that ends in a "
                               "machine that hangs, not in an error"
                             : "the host has less left than it needs: loading anything may hang it")
      .saw(kMeminfo, numbers)
      .by_hand("nvidia-smi --query-compute-apps=pid,process_name,used_memory --format=csv", "shows who holds it")
      .advise("take a smaller quantisation, context or batch (`hearth plan` says which fits), or end what else runs");
}

Outcome fragments(const Context& context) {
  constexpr int64_t kBlock = 16 * MiB;
  constexpr int64_t kFewest = 100;
  if (std::optional<Outcome> outcome = unless_unified(context)) return *outcome;
  const std::optional<int64_t> page = context.page_bytes();
  const std::optional<std::string> text = context.root().text("/proc/buddyinfo");
  if (!text || !page) return unknown("/proc/buddyinfo or the page size could not be read");
  const std::optional<machine::FreeBlocks> blocks = machine::read_free_blocks(context.root(), *page);
  // "Node 0, zone Normal" and one number an order.
  const int64_t orders = static_cast<int64_t>(words_of(machine::first_line(*text)).size()) - 4;
  if (!blocks || orders <= 0 || (*page << (orders - 1)) < kBlock) {
    return unknown("this kernel keeps no free blocks of 16 MiB: /proc/buddyinfo cannot show whether memory is in "
                   "pieces");
  }
  const int64_t count = blocks->blocks_of_at_least(kBlock);
  const std::string what = std::to_string(count) + " free blocks of 16 MiB and more";
  if (count >= kFewest) return ok().saw("/proc/buddyinfo", what);
  return warning("memory is in pieces after days of use: loading crawls or fails (0x51) with much available")
      .saw("/proc/buddyinfo", what)
      .cure("sync; echo 3 | sudo tee /proc/sys/vm/drop_caches; echo 1 | sudo tee /proc/sys/vm/compact_memory",
            "joins free pages; look at /proc/buddyinfo again")
      .by_hand("sudo reboot", "when fewer than 100 such blocks remain after it");
}

// What a process of the GPU holds, in MiB; nothing when the driver does not say.
std::optional<double> number_of(const std::string& cell) {
  const std::string text = trimmed(cell);
  double value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  return failure == std::errc() ? std::optional(value) : std::nullopt;
}

Outcome neighbours(const Context& context) {
  if (std::optional<Outcome> outcome = without_nvidia(context)) return *outcome;
  const std::optional<std::string> said = context.said(
      {"nvidia-smi", "--query-compute-apps=pid,process_name,used_memory", "--format=csv,noheader,nounits"});
  if (!said) return unknown("`nvidia-smi --query-compute-apps` did not answer");
  const std::string why = context.is_unified()
                              ? "other programs hold memory that this machine has only once"
                              : "other programs hold memory of the GPU";
  Outcome others = context.is_unified() ? warning(why) : note(why);
  for (const std::string& line : machine::lines_of(*said)) {
    const size_t first = line.find(','), last = line.rfind(',');
    if (first == line.npos || first == last) continue;
    const std::string pid = trimmed(line.substr(0, first)), name = trimmed(line.substr(first + 1, last - first - 1));
    const std::optional<double> mib = number_of(line.substr(last + 1));
    if (!mib || *mib < 1024 || contains(name, "hearth")) continue;
    others.saw("nvidia-smi", name + " (process " + pid + ") holds " + format_bytes(std::llround(*mib) * MiB));
    others.by_hand("kill " + pid, "only if you do not need it; then look again whether it is gone");
  }
  if (others.evidence.empty()) return ok().saw("nvidia-smi", "no other program holds 1 GiB or more");
  return others;
}

int64_t swappiness(const Context& context) {
  return std::atoll(context.root().text("/proc/sys/vm/swappiness").value_or("-1").c_str());
}

Outcome swap(const Context& context) {
  if (std::optional<Outcome> outcome = unless_unified(context)) return *outcome;
  const machine::HostMemory& memory = context.memory();
  const std::optional<std::string> swaps = context.root().text("/proc/swaps");
  if (!memory.swap_total_bytes || !memory.swap_free_bytes || !swaps) {
    return unknown("/proc/meminfo and /proc/swaps could not be read");
  }
  const bool has_zram = contains(*swaps, "/dev/zram");
  const int64_t used = *memory.swap_total_bytes - *memory.swap_free_bytes, eagerness = swappiness(context);
  const std::string numbers = format_bytes(*memory.swap_total_bytes) + ", " + format_bytes(used) + " used, swappiness "
                                                                                                   "" +
                              (eagerness < 0 ? "unknown" : std::to_string(eagerness));
  Outcome result = ok();
  if (has_zram) {
    result = warning("compressed swap (zram) takes its room from the same memory");
    result.cure("sudo systemctl disable --now zramswap.service", "or the unit that makes it: `systemctl list-units "
                                                                 "'*zram*'`");
  } else if (*memory.swap_total_bytes > 20 * GiB || used > 4 * GiB) {
    result = warning("the GPU's pages cannot be swapped: a large swap turns an overshoot into hours of thrashing "
                     "instead "
                     "of an end");
    result.cure("echo 'vm.swappiness=10' | sudo tee /etc/sysctl.d/90-hearth.conf && sudo sysctl --system",
                "swaps only when nothing else helps");
    result.by_hand("sudo swapoff -a", "gives it up until the next boot; needs as much free memory as is swapped");
  } else if (*memory.swap_total_bytes > 0 && eagerness > 10) {
    result = note("swappiness above 10 pushes programs out while the GPU's pages stay");
    result.cure("echo 'vm.swappiness=10' | sudo tee /etc/sysctl.d/90-hearth.conf && sudo sysctl --system", "keeps "
                                                                                                           "them");
  }
  return result.saw("/proc/swaps", numbers);
}

Outcome pages(const Context& context) {
  if (std::optional<Outcome> outcome = unless_unified(context)) return *outcome;
  const machine::HostMemory& memory = context.memory();
  const std::optional<int64_t> page = context.page_bytes();
  if (!page || !memory.huge_pages) return unknown("the page size or /proc/meminfo could not be read");
  const int64_t reserved = *memory.huge_pages * memory.huge_page_bytes.value_or(0);
  if (reserved > 0) {
    return warning("huge pages are reserved: CUDA does not use them, they are missing for everybody else")
        .saw(kMeminfo, "HugePages_Total " + std::to_string(*memory.huge_pages) + ", " + format_bytes(reserved))
        .cure("echo 0 | sudo tee /proc/sys/vm/nr_hugepages",
              "gives them back; look for vm.nr_hugepages in /etc/sysctl.d as well");
  }
  if (*page > 4096) {
    const bool is_610 = context.driver().kernel_version.value_or("").starts_with("61");
    Outcome large = is_610 ? warning("pages of 64 KiB with driver 610: copies end with Xid 31")
                           : note("pages of 64 KiB: the driver's own tables take about 3 GiB more for a large model");
    return large.saw("getconf PAGESIZE", std::to_string(*page)).advise("boot the kernel with pages of 4 KiB");
  }
  const std::string mode = trimmed(context.root().text("/sys/kernel/mm/transparent_hugepage/enabled").value_or(""));
  return ok().saw("getconf PAGESIZE", std::to_string(*page)).saw(kMeminfo, "no huge pages reserved")
      .saw("transparent_hugepage/enabled", mode.empty() ? "not readable" : mode);
}

Outcome shared(const Context& context) {
  constexpr int64_t kMost = 10 * GiB;
  if (std::optional<Outcome> outcome = unless_unified(context)) return *outcome;
  const std::optional<std::string> said = context.said({"df", "-Pk", "/dev/shm"});
  const std::vector<std::string> lines = machine::lines_of(said.value_or(""));
  const std::vector<std::string> cells = lines.size() > 1 ? words_of(lines[1]) : std::vector<std::string>();
  if (cells.size() < 4) return unknown("`df /dev/shm` did not answer");
  const int64_t used = std::atoll(cells[2].c_str()) * KiB;
  const std::string numbers = format_bytes(std::atoll(cells[1].c_str()) * KiB) + " large, " + format_bytes(used) +
      " used";
  if (used <= kMost) return ok().saw("df /dev/shm", numbers);
  return warning("files in /dev/shm lie in the one memory; resets were reported with 64 GB of it")
      .saw("df /dev/shm", numbers)
      .by_hand("ls -lS /dev/shm | head", "shows what lies there; end its owner or remove it")
      .by_hand("docker run --shm-size=8g ...", "10 GB at most for a container");
}

constexpr Check kChecks[] = {
    {23, "page-cache", Topic::kMemory, "Little memory is hidden in the page cache",
     "Free memory on device cuda:0 on startup is less than desired GPU memory utilization", page_cache},
    {24, "placement", Topic::kMemory, "Engines put all layers on the GPU",
     "--fit on offloads only 34 of 49 layers; utilisation fractions are wrong", placement},
    {25, "room", Topic::kMemory, "What is planned leaves the host enough", "CUDA out of memory, or the machine hangs",
     room},
    {26, "fragments", Topic::kMemory, "Memory is not in small pieces",
     "loading crawls at 3 to 7 GiB free; NV_ERR_NO_MEMORY (0x51)", fragments},
    {28, "neighbours", Topic::kMemory, "No other program holds much GPU memory",
     "a second server runs both out of memory; a stale worker keeps its model", neighbours},
    {29, "swap", Topic::kMemory, "Swap is small and not eager", "thrashing: the disk is busy for hours", swap},
    {30, "pages", Topic::kMemory, "No reserved huge pages, pages of 4 KiB", "memory is missing; Xid 31", pages},
    {31, "shared-memory-files", Topic::kMemory, "Little lies in /dev/shm", "the machine resets under load", shared},
};

}  // namespace

std::span<const Check> memory_checks() { return kChecks; }

}  // namespace hearth::doctor
