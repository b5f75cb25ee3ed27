// Rows 23 to 26: how much of the one memory is left, and in which pieces.
#include <algorithm>
#include <cstdio>

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
  const std::string numbers =
      "MemFree " + format_bytes(*memory.free_bytes) + ", MemAvailable " + format_bytes(*memory.available_bytes);
  if (hidden < *memory.total_bytes / 4) return ok().saw(kMeminfo, numbers);
  return warning("the page cache holds " + format_bytes(hidden) +
                 ": cudaMemGetInfo counts it as used, so vLLM and others refuse to start although it could be given "
                 "back")
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
  if (!context.program_log()) return without_log();
  const std::vector<std::string> lines = machine::lines_of(*context.program_log());
  const auto partial = std::ranges::find_if(lines, is_partial);
  if (partial == lines.end()) return ok().saw("log", "no engine says that it left layers on the CPU");
  return warning("an engine left layers on the CPU: it sizes by cudaMemGetInfo, which leaves the page cache out")
      .saw("log", trimmed(*partial))
      .by_hand("llama-server -ngl 99 --no-mmap ...", "all layers, when they fit with the reserve to spare")
      .advise("vLLM: --gpu-memory-utilization 0.85 at most, of all memory; Hearth takes a budget in bytes");
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

constexpr int64_t kLargeBlock = 16 * MiB;

// Free blocks of 16 MiB and more; nothing when this kernel does not count blocks of that size.
std::optional<int64_t> large_blocks(const Context& context, const std::string& buddyinfo, int64_t page) {
  const std::optional<machine::FreeBlocks> blocks = machine::read_free_blocks(context.root(), page);
  // "Node 0, zone Normal" and one number an order.
  const int64_t orders = static_cast<int64_t>(words_of(machine::first_line(buddyinfo)).size()) - 4;
  if (!blocks || orders <= 0 || (page << (orders - 1)) < kLargeBlock) return std::nullopt;
  return blocks->blocks_of_at_least(kLargeBlock);
}

Outcome fragments(const Context& context) {
  constexpr int64_t kFewest = 100;
  constexpr const char* kFile = "/proc/buddyinfo";
  if (std::optional<Outcome> outcome = unless_unified(context)) return *outcome;
  const std::optional<int64_t> page = context.page_bytes();
  const std::optional<std::string> text = context.root().text(kFile);
  if (!text || !page) return unknown("/proc/buddyinfo or the page size could not be read");
  const std::optional<int64_t> count = large_blocks(context, *text, *page);
  if (!count) {
    return unknown("this kernel keeps no free blocks of 16 MiB: /proc/buddyinfo cannot show whether memory is in "
                   "pieces");
  }
  const std::string what = std::to_string(*count) + " free blocks of 16 MiB and more";
  if (*count >= kFewest) return ok().saw(kFile, what);
  return warning("memory is in pieces after days of use: loading crawls or fails (0x51) with much available")
      .saw(kFile, what)
      .cure("sync; echo 3 | sudo tee /proc/sys/vm/drop_caches; echo 1 | sudo tee /proc/sys/vm/compact_memory",
            "joins free pages; look at /proc/buddyinfo again")
      .by_hand("sudo reboot", "when fewer than 100 such blocks remain after it");
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
};

}  // namespace

std::span<const Check> memory_checks() { return kChecks; }

}  // namespace hearth::doctor
