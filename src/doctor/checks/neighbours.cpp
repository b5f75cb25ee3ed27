// Rows 28 to 31: who else wants the one memory: other programs, swap, reserved pages, files in /dev/shm.
#include <charconv>
#include <cmath>
#include <cstdlib>

#include "core/base/units.h"
#include "doctor/checks/all.h"
#include "doctor/checks/common.h"

namespace hearth::doctor {
namespace {

constexpr const char* kMeminfo = "/proc/meminfo";
constexpr const char* kCalmSwap =
    "echo 'vm.swappiness=10' | sudo tee /etc/sysctl.d/90-hearth.conf && sudo sysctl --system";

struct Holder {
  std::string pid, name;
  int64_t bytes = 0;
};

// "4711, /usr/bin/python3, 71680"; nothing when the driver does not say how much.
std::optional<Holder> holder_of(const std::string& line) {
  const size_t first = line.find(','), last = line.rfind(',');
  if (first == line.npos || first == last) return std::nullopt;
  const std::string cell = trimmed(line.substr(last + 1));
  double mib = 0;
  const auto [end, failure] = std::from_chars(cell.data(), cell.data() + cell.size(), mib);
  if (failure != std::errc()) return std::nullopt;
  return Holder{.pid = trimmed(line.substr(0, first)),
                .name = trimmed(line.substr(first + 1, last - first - 1)),
                .bytes = std::llround(mib) * MiB};
}

// The container a process runs in, as Docker names it; "" when it is in none.
std::string container_of(const Context& context, const std::string& pid) {
  constexpr std::string_view kKeys[] = {"docker-", "/docker/"};
  constexpr size_t kShortName = 12;
  const std::string text = context.root().text("/proc/" + pid + "/cgroup").value_or("");
  for (std::string_view key : kKeys) {
    const size_t at = text.find(key);
    if (at == text.npos) continue;
    const std::string name = text.substr(at + key.size(), kShortName);
    if (name.find_first_not_of("0123456789abcdef") == name.npos) return name;
  }
  return "";
}

void add_holder(const Context& context, const Holder& holder, Outcome& others) {
  const std::string container = container_of(context, holder.pid);
  const std::string where = container.empty() ? "process " + holder.pid : "container " + container;
  others.saw("nvidia-smi", holder.name + " (" + where + ") holds " + format_bytes(holder.bytes));
  others.by_hand(container.empty() ? "kill " + holder.pid : "docker stop " + container,
                 "only if you do not need it; then look again whether it is gone");
}

Outcome neighbours(const Context& context) {
  if (std::optional<Outcome> outcome = without_nvidia(context)) return *outcome;
  const std::optional<std::string> said = context.said(
      {"nvidia-smi", "--query-compute-apps=pid,process_name,used_memory", "--format=csv,noheader,nounits"});
  if (!said) return unknown("`nvidia-smi --query-compute-apps` did not answer");
  Outcome others = context.is_unified() ? warning("other programs hold memory that this machine has only once")
                                        : note("other programs hold memory of the GPU");
  for (const std::string& line : machine::lines_of(*said)) {
    const std::optional<Holder> holder = holder_of(line);
    if (holder && holder->bytes >= GiB && !contains(holder->name, "hearth")) add_holder(context, *holder, others);
  }
  if (others.evidence.empty()) return ok().saw("nvidia-smi", "no other program holds 1 GiB or more");
  return others;
}

struct Swap {
  int64_t total_bytes = 0, used_bytes = 0;
  int64_t swappiness = -1;  // -1 unknown
  bool has_zram = false;
};

std::optional<Swap> read_swap(const Context& context) {
  const machine::HostMemory& memory = context.memory();
  const std::optional<std::string> swaps = context.root().text("/proc/swaps");
  if (!memory.swap_total_bytes || !memory.swap_free_bytes || !swaps) return std::nullopt;
  return Swap{.total_bytes = *memory.swap_total_bytes,
              .used_bytes = *memory.swap_total_bytes - *memory.swap_free_bytes,
              .swappiness = std::atoll(context.root().text("/proc/sys/vm/swappiness").value_or("-1").c_str()),
              .has_zram = contains(*swaps, "/dev/zram")};
}

Outcome judge_swap(const Swap& swap) {
  constexpr int64_t kLarge = 20 * GiB, kMuchUsed = 4 * GiB, kEager = 10;
  if (swap.has_zram) {
    return warning("compressed swap (zram) takes its room from the same memory")
        .cure("sudo systemctl disable --now zramswap.service",
              "or the unit that makes it: `systemctl list-units '*zram*'`");
  }
  if (swap.total_bytes > kLarge || swap.used_bytes > kMuchUsed) {
    return warning("the GPU's pages cannot be swapped: a large swap turns an overshoot into hours of thrashing instead "
                   "of an end")
        .cure(kCalmSwap, "swaps only when nothing else helps")
        .by_hand("sudo swapoff -a", "gives it up until the next boot; needs as much free memory as is swapped");
  }
  if (swap.total_bytes > 0 && swap.swappiness > kEager) {
    return note("swappiness above 10 pushes programs out while the GPU's pages stay").cure(kCalmSwap, "keeps them");
  }
  return ok();
}

Outcome swap(const Context& context) {
  if (std::optional<Outcome> outcome = unless_unified(context)) return *outcome;
  const std::optional<Swap> swap = read_swap(context);
  if (!swap) return unknown("/proc/meminfo and /proc/swaps could not be read");
  const std::string swappiness = swap->swappiness < 0 ? "unknown" : std::to_string(swap->swappiness);
  return judge_swap(*swap).saw("/proc/swaps", format_bytes(swap->total_bytes) + ", " + format_bytes(swap->used_bytes) +
                                                  " used, swappiness " + swappiness);
}

Outcome reserved_pages(int64_t count, int64_t bytes) {
  return warning("huge pages are reserved: CUDA does not use them, they are missing for everybody else")
      .saw(kMeminfo, "HugePages_Total " + std::to_string(count) + ", " + format_bytes(bytes))
      .cure("echo 0 | sudo tee /proc/sys/vm/nr_hugepages",
            "gives them back; look for vm.nr_hugepages in /etc/sysctl.d as well");
}

Outcome large_pages(const Context& context, int64_t page) {
  const bool is_610 = context.driver().kernel_version.value_or("").starts_with("61");
  Outcome large = is_610 ? warning("pages of 64 KiB with driver 610: copies end with Xid 31")
                         : note("pages of 64 KiB: the driver's own tables take about 3 GiB more for a large model");
  return large.saw("getconf PAGESIZE", std::to_string(page)).advise("boot the kernel with pages of 4 KiB");
}

Outcome pages(const Context& context) {
  if (std::optional<Outcome> outcome = unless_unified(context)) return *outcome;
  const machine::HostMemory& memory = context.memory();
  const std::optional<int64_t> page = context.page_bytes();
  if (!page || !memory.huge_pages) return unknown("the page size or /proc/meminfo could not be read");
  const int64_t reserved = *memory.huge_pages * memory.huge_page_bytes.value_or(0);
  if (reserved > 0) return reserved_pages(*memory.huge_pages, reserved);
  if (*page > 4096) return large_pages(context, *page);
  const std::string mode = trimmed(context.root().text("/sys/kernel/mm/transparent_hugepage/enabled").value_or(""));
  return ok()
      .saw("getconf PAGESIZE", std::to_string(*page))
      .saw(kMeminfo, "no huge pages reserved")
      .saw("transparent_hugepage/enabled", mode.empty() ? "not readable" : mode);
}

Outcome shared(const Context& context) {
  constexpr int64_t kMost = 10 * GiB;
  if (std::optional<Outcome> outcome = unless_unified(context)) return *outcome;
  const std::vector<std::string> lines = machine::lines_of(context.said({"df", "-Pk", "/dev/shm"}).value_or(""));
  const std::vector<std::string> cells = lines.size() > 1 ? words_of(lines[1]) : std::vector<std::string>();
  if (cells.size() < 4) return unknown("`df /dev/shm` did not answer");
  const int64_t size = std::atoll(cells[1].c_str()) * KiB, used = std::atoll(cells[2].c_str()) * KiB;
  const std::string numbers = format_bytes(size) + " large, " + format_bytes(used) + " used";
  if (used <= kMost) return ok().saw("df /dev/shm", numbers);
  return warning("files in /dev/shm lie in the one memory; resets were reported with 64 GB of it")
      .saw("df /dev/shm", numbers)
      .by_hand("ls -lS /dev/shm | head", "shows what lies there; end its owner or remove it")
      .by_hand("docker run --shm-size=8g ...", "10 GB at most for a container");
}

constexpr Check kChecks[] = {
    {28, "neighbours", Topic::kMemory, "No other program holds much GPU memory",
     "a second server runs both out of memory; a stale worker keeps its model", neighbours},
    {29, "swap", Topic::kMemory, "Swap is small and not eager", "thrashing: the disk is busy for hours", swap},
    {30, "pages", Topic::kMemory, "No reserved huge pages, pages of 4 KiB", "memory is missing; Xid 31", pages},
    {31, "shared-memory-files", Topic::kMemory, "Little lies in /dev/shm", "the machine resets under load", shared},
};

}  // namespace

std::span<const Check> neighbour_checks() { return kChecks; }

}  // namespace hearth::doctor
