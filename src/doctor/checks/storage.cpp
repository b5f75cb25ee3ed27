// Rows 41 to 43: where models lie, and how they are read.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "core/base/units.h"
#include "doctor/checks/all.h"
#include "doctor/checks/common.h"

namespace hearth::doctor {
namespace {

// The nearest folder above that exists: the model folder may not be made yet.
std::string existing(const Context& context, std::string path) {
  while (path.size() > 1 && !context.root().has(path)) {
    const size_t slash = path.rfind('/');
    path.resize(slash == path.npos || slash == 0 ? 1 : slash);
    if (path.empty() || path[0] != '/') return "/";
  }
  return path.empty() ? "/" : path;
}

bool is_remote(const std::string& type) {
  return type.starts_with("nfs") || type == "cifs" || type == "smb3" || type == "9p" || type == "virtiofs" ||
         type.starts_with("fuse.");
}

// "/dev/nvme0n1p2" -> "nvme0n1", "/dev/sda1" -> "sda"; "" for what is no disk.
std::string disk_of(const Context& context, const std::string& device) {
  const std::string name = device.substr(device.rfind('/') + 1);
  for (const std::string& disk : context.root().names("/sys/block")) {
    if (name.starts_with(disk)) return disk;
  }
  return "";
}

// What kind of disk a mount is on, where that makes it slow: evidence to add; nothing for a local solid-state one.
std::optional<Evidence> slow_kind(const Context& context, const Mount& mount, const std::string& where) {
  if (is_remote(mount.type)) return Evidence{"/proc/self/mounts", where};
  const std::string disk = disk_of(context, mount.device);
  if (disk.empty()) return std::nullopt;
  const std::string block = "/sys/block/" + disk;
  if (contains(context.root().link(block).value_or(""), "/usb")) return Evidence{block, "a USB drive"};
  const bool turns = trimmed(context.root().text(block + "/queue/rotational").value_or("")) == "1";
  const bool is_virtual = disk.starts_with("vd") || disk.starts_with("xvd");  // says "rotational" of anything
  if (turns && !is_virtual) return Evidence{block + "/queue/rotational", "1: a hard disk"};
  return std::nullopt;
}

struct ReadTest {
  std::string where;                // the command
  std::optional<double> gb_per_s;   // nothing: no answer in time, or no direct reads on this file system
  std::string complaint;
};

// "268435456 bytes (268 MB, 256 MiB) copied, 0.0512 s, 5.2 GB/s" -> 5.2
std::optional<double> rate_of(const std::string& line) {
  double bytes = 0, seconds = 0;
  const size_t copied = line.find("copied, ");
  if (copied == line.npos || std::sscanf(line.c_str(), "%lf", &bytes) != 1) return std::nullopt;
  if (std::sscanf(line.c_str() + copied, "copied, %lf s", &seconds) != 1 || seconds <= 0) return std::nullopt;
  return bytes / seconds / 1e9;
}

// 256 MiB of a model that is there, past the page cache; nothing when there is none of that size.
std::optional<ReadTest> test_reading(const Context& context, const std::string& folder) {
  const Command look = {"find", "-L", folder, "-maxdepth", "3", "-type", "f", "-size", "+256M"};
  const std::string file = machine::first_line(context.said(look).value_or(""));
  if (file.empty()) return std::nullopt;
  ReadTest test{.where = "dd if=" + file + " iflag=direct"};
  const std::optional<machine::ToolOutput>& said =
      context.run({"dd", "if=" + file, "of=/dev/null", "bs=16M", "count=16", "iflag=direct"});
  if (!said) {
    test.complaint = "no answer within 5 s";
    return test;
  }
  for (const std::string& line : machine::lines_of(said->text)) {
    if (const std::optional<double> rate = rate_of(line)) test.gb_per_s = rate;
  }
  if (!test.gb_per_s) test.complaint = trimmed(machine::first_line(said->text));
  return test;
}

Outcome judge_reading(const ReadTest& test) {
  constexpr double kSlow = 1.0;
  if (!test.gb_per_s) return unknown("reading a model directly was not measured: " + test.complaint);
  const std::string rate = fmt::format("{:.2f} GB/s", *test.gb_per_s);
  if (*test.gb_per_s >= kSlow) return ok().saw(test.where, rate);
  return warning(fmt::format("models are read at {}: 46 GB take {:.0f} s", rate, 46 / *test.gb_per_s))
      .saw(test.where, rate)
      .advise("keep models on the local NVMe drive; an NVMe drive reads 5 to 10 GB/s");
}

Outcome model_disk(const Context& context) {
  const std::string folder = existing(context, context.models_dir());
  const std::optional<Mount> mount = context.mount_of(folder);
  if (!mount) return unknown("/proc/self/mounts could not be read");
  const std::string where = folder + " on " + mount->device + ", " + mount->type;
  if (const std::optional<Evidence> kind = slow_kind(context, *mount, where)) {
    return warning("models lie where reading is slow: loading takes minutes")
        .saw("/proc/self/mounts", where)
        .saw(kind->where, kind->what)
        .advise("keep models on the local NVMe drive, or copy those in use there; `hearth pull` verifies what it "
                "copies");
  }
  const std::optional<ReadTest> test = context.options().may_test ? test_reading(context, folder) : std::nullopt;
  return (test ? judge_reading(*test) : ok()).saw("/proc/self/mounts", where);
}

// The cells of df's second line: device, total, used, free, percent, place.
std::vector<std::string> df(const Context& context, const char* flags, const std::string& folder) {
  const std::vector<std::string> lines = machine::lines_of(context.said({"df", flags, folder}).value_or(""));
  return lines.size() > 1 ? words_of(lines[1]) : std::vector<std::string>();
}

Outcome free_space(const Context& context) {
  constexpr int64_t kNothing = 2 * GiB, kLittle = 20 * GiB;
  const std::string folder = existing(context, context.models_dir());
  const std::vector<std::string> bytes = df(context, "-Pk", folder), files = df(context, "-Pi", folder);
  if (bytes.size() < 4) return unknown("`df " + folder + "` did not answer");
  const int64_t left = std::atoll(bytes[3].c_str()) * KiB;
  const bool has_no_names =
      files.size() >= 4 && std::atoll(files[1].c_str()) > 0 && std::atoll(files[3].c_str()) < 1000;
  const std::string numbers = format_bytes(left) + " free" + (has_no_names ? ", no names for new files left" : "");
  const std::string place = "df " + folder;
  if (left < kNothing || has_no_names) {
    return failure("the disk that models lie on is full: downloads stay partial")
        .saw(place, numbers)
        .by_hand("du -xh --max-depth=2 " + folder + " | sort -h | tail", "shows what is large")
        .by_hand("docker system prune", "gives back images that nothing uses (a PyTorch image takes 15 to 25 GB)");
  }
  if (left < kLittle) {
    return note("little room for models: SDXL takes 7 GB, an 80B model in 4 bit 46 GB").saw(place, numbers);
  }
  return ok().saw(place, numbers);
}

Outcome mapping(const Context& context) {
  if (std::optional<Outcome> outcome = unless_unified(context)) return *outcome;
  Outcome mapped = note("a server that maps its weights into memory: on one memory that is the slow way (gpt-oss-120b: "
                        "110 s against 10.5 s with direct reads), and the page cache keeps a second copy");
  for (const Unit& unit : context.units()) {
    const bool is_llama = contains(unit.text, "llama-server") || contains(unit.text, "llama-cli");
    if (!is_llama || contains(unit.text, "--no-mmap") || contains(unit.text, "--direct-io")) continue;
    mapped.saw("/etc/systemd/system/" + unit.name, "llama-server without --no-mmap");
    mapped.by_hand("sudo systemctl edit --full " + unit.name, "add --no-mmap to its command");
  }
  if (mapped.evidence.empty()) return ok("no service found that maps weights; Hearth reads them directly");
  return mapped;
}

constexpr Check kChecks[] = {
    {41, "model-disk", Topic::kStorage, "Models lie on a fast local disk", "loading takes more than 60 s", model_disk},
    {42, "disk-space", Topic::kStorage, "There is room for models", "No space left on device; partial downloads",
     free_space},
    {43, "mapped-weights", Topic::kStorage, "No server maps its weights on one memory",
     "slow loading, memory used twice", mapping},
};

}  // namespace

std::span<const Check> storage_checks() { return kChecks; }

}  // namespace hearth::doctor
