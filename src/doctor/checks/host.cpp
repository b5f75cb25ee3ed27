// Rows 27, 33, 44, 48 and 54: the host's log, desktop, variables, limits, clock and locale.
#include <algorithm>

#include "core/base/units.h"
#include "doctor/checks/all.h"
#include "doctor/checks/common.h"

namespace hearth::doctor {
namespace {

const Command kLastBoot = {"journalctl", "-k", "-b", "-1", "--no-pager", "-o", "short-iso", "-n", "400"};
// What the journal itself said last: an orderly shutdown stops it.
const Command kLastEnd = {"journalctl", "-b", "-1", "--no-pager", "-o", "short-iso", "-n", "5", "-u",
                          "systemd-journald"};

struct Sign {
  const char* text;
  const char* means;
};
constexpr Sign kSigns[] = {{"NV_ERR_NO_MEMORY", "the driver ran out of memory"},
                           {"_memdescAllocInternal", "the driver ran out of memory"},
                           {"NVRM: Xid", "a GPU fault"},
                           {"GPU has fallen off the bus", "the GPU is gone"},
                           {"Out of memory: Killed process", "the kernel ended a process"},
                           {"oom-kill:", "the kernel ended a process"},
                           {"blocked for more than", "a task hung in the kernel"}};

// The form with nvCheckOkFailedNoLog also shows on healthy boots: the driver tries and falls back.
bool is_probe(const std::string& line) { return contains(line, "nvCheckOkFailedNoLog"); }

void look_for_signs(const std::string& text, const std::string& where, Outcome& bad, int& probes) {
  constexpr size_t kMostLines = 6;
  for (const std::string& line : machine::lines_of(text)) {
    const auto sign = std::ranges::find_if(kSigns, [&](const Sign& known) { return contains(line, known.text); });
    if (sign == std::end(kSigns)) continue;
    if (is_probe(line)) {
      ++probes;
    } else if (bad.evidence.size() < kMostLines) {
      bad.saw(where, trimmed(line) + "  (" + sign->means + ")");
    }
  }
}

// Whether the last boot ended without a shutdown: power lost, a reset, or a hang. False also when nobody knows.
bool ended_abruptly(const Context& context) {
  const std::string said = context.said(kLastEnd).value_or("");
  return contains(said, "systemd-journald") && !contains(said, "Journal stopped") && !contains(said, "SIGTERM");
}

Outcome judge_ends(const Context& context, int probes, bool knows_last_boot) {
  const std::string what = "no fault in this boot" + std::string(knows_last_boot ? " and the last" : "");
  Outcome fine = ok();
  if (ended_abruptly(context)) {
    fine = note("the last boot ended without a shutdown: power was lost, it was reset, or it hung");
    fine.saw("journalctl -b -1", "the journal was not stopped");
    fine.by_hand("journalctl -b -1 -n 50 --no-pager", "what it wrote last");
  }
  if (probes > 0) {
    fine.saw("kernel log", std::to_string(probes) + " allocation probes of the driver, as healthy boots have");
  }
  return fine.saw("kernel log", what);
}

Outcome earlier_wedge(const Context& context) {
  const std::optional<std::string>& now = context.kernel_log();
  const std::optional<std::string> before = context.said(kLastBoot);
  if (!now && !before) {
    return unknown("the kernel's log cannot be read: run as root, or join the group systemd-journal");
  }
  Outcome bad = warning("the kernel's log shows that memory ran out or the GPU failed");
  int probes = 0;
  look_for_signs(now.value_or(""), "kernel log", bad, probes);
  look_for_signs(before.value_or(""), "kernel log of the last boot", bad, probes);
  if (bad.evidence.empty()) return judge_ends(context, probes, before.has_value());
  return bad.advise("plan for less memory: a smaller budget, context or batch; a line of the last boot is what ended "
                    "it");
}

Outcome desktop(const Context& context) {
  if (std::optional<Outcome> outcome = unless_unified(context)) return *outcome;
  const std::string target = trimmed(context.said({"systemctl", "get-default"}).value_or(""));
  if (target.empty()) return unknown("`systemctl get-default` did not answer");
  const std::string state =
      trimmed(context.run({"systemctl", "is-active", "display-manager"}).value_or(machine::ToolOutput()).text);
  if (target != "graphical.target" || state != "active") {
    return ok().saw("systemctl get-default", target).saw("display-manager", state.empty() ? "unknown" : state);
  }
  return note("a desktop runs: 1 to 6 GiB less, and freezes were seen when all memory was in use")
      .saw("systemctl get-default", target).saw("display-manager", state)
      .by_hand("sudo systemctl set-default multi-user.target", "for a server without a screen; from the next boot on");
}

struct Habit {
  const char* name;
  bool (*is_bad)(const std::string& value);
  const char* why;
};
constexpr Habit kHabits[] = {
    {"PYTORCH_NO_CUDA_MEMORY_CACHING", [](const std::string& v) { return !v.empty() && v != "0"; },
     "a switch for debugging: every tensor becomes a cudaMalloc, the dangerous call on one memory"},
    {"CUDA_MANAGED_FORCE_DEVICE_ALLOC", [](const std::string& v) { return !v.empty() && v != "0"; },
     "of use on machines with several discrete GPUs only"},
    {"LD_LIBRARY_PATH", [](const std::string& v) { return contains(v, "cudnn"); },
     "puts another cuDNN before the one that a framework was built with: version incompatibility"},
    {"CUDA_VISIBLE_DEVICES", [](const std::string& v) { return v.empty() || v == "-1" || v == "NoDevFiles"; },
     "hides every GPU"}};

Outcome variables(const Context& context) {
  if (context.variables().empty()) return unknown("/proc/self/environ could not be read");
  Outcome copied = note("");
  for (const Variable& variable : context.variables()) {
    for (const Habit& habit : kHabits) {
      if (variable.name != habit.name || !habit.is_bad(variable.value)) continue;
      add_cause(copied, variable.name + ": " + habit.why);
      copied.saw(variable.where, variable.name + "=" + variable.value);
      copied.by_hand("unset " + variable.name, "and take it out of profiles and units");
    }
  }
  if (copied.evidence.empty()) return ok().saw("environment and units", "none of the variables of copied tuning lists");
  return copied;
}

struct Limit {
  int64_t soft = -1, hard = -1;  // -1: unlimited
};

// "Max open files            1024                 1048576              files"
std::optional<Limit> limit_of(const std::string& text, const std::string& name) {
  for (const std::string& line : machine::lines_of(text)) {
    if (!line.starts_with(name)) continue;
    const std::vector<std::string> words = words_of(line.substr(name.size()));
    if (words.size() < 2) return std::nullopt;
    auto number = [](const std::string& word) { return word == "unlimited" ? -1 : std::atoll(word.c_str()); };
    return Limit{number(words[0]), number(words[1])};
  }
  return std::nullopt;
}

bool has_active_link(const Context& context) {
  for (const std::string& device : context.root().names("/sys/class/infiniband")) {
    const std::string path = "/sys/class/infiniband/" + device + "/ports/1/state";
    if (contains(context.root().text(path).value_or(""), "ACTIVE")) return true;
  }
  return false;
}

void add_few_files(const Limit& files, Outcome& low) {
  add_cause(low, "few files may be open: many connections, or a model of many files, end with \"too many open files\"");
  low.saw("/proc/self/limits", "open files at most " + std::to_string(files.hard));
  low.cure("printf '* hard nofile 65536\\n* soft nofile 65536\\n' | sudo tee /etc/security/limits.d/90-hearth.conf",
           "from the next login on; LimitNOFILE=65536 in a unit");
}

void add_little_locked(const Limit& locked, Outcome& low) {
  add_cause(low, "memory for the link between machines cannot be locked: ibv_reg_mr and ibv_create_qp fail with "
                 "ENOMEM");
  low.saw("/proc/self/limits", "locked memory at most " + format_bytes(locked.hard));
  low.cure("printf '* hard memlock unlimited\\n* soft memlock unlimited\\n' | sudo tee "
           "/etc/security/limits.d/91-hearth.conf",
           "from the next login on; LimitMEMLOCK=infinity in a unit, --ulimit memlock=-1 for docker");
}

Outcome resource_limits(const Context& context) {
  constexpr int64_t kEnoughFiles = 65536;
  const std::string text = context.root().text("/proc/self/limits").value_or("");
  const std::optional<Limit> files = limit_of(text, "Max open files"), locked = limit_of(text, "Max locked memory");
  if (!files || !locked) return unknown("/proc/self/limits could not be read");
  Outcome low = warning("");
  if (files->hard >= 0 && files->hard < kEnoughFiles) add_few_files(*files, low);
  if (locked->hard >= 0 && has_active_link(context)) add_little_locked(*locked, low);
  if (!low.evidence.empty()) return low;
  const std::string most = files->hard < 0 ? "unlimited" : std::to_string(files->hard);
  return ok().saw("/proc/self/limits", "open files " + std::to_string(files->soft) + ", at most " + most);
}

// The one that counts of the three variables; "" when none is set.
std::string locale_of(const Context& context) {
  for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"}) {
    const std::string locale = context.variable(name).value_or("");
    if (!locale.empty()) return locale;
  }
  return "";
}

bool is_utf8(const std::string& locale) {
  const std::string small = lower(locale);
  return contains(small, "utf-8") || contains(small, "utf8");
}

Outcome clock_and_locale(const Context& context) {
  const std::optional<std::string> clock = context.said({"timedatectl", "show"});
  const bool has_environment = !context.variables().empty();
  const std::string locale = locale_of(context);
  Outcome off = note("");
  if (clock && machine::field_of(*clock, "NTPSynchronized") == "no") {
    add_cause(off, "the clock is not kept right: certificates fail and logs of two machines do not line up");
    off.saw("timedatectl show", "NTPSynchronized=no").cure("sudo timedatectl set-ntp true", "starts it");
  }
  if (has_environment && !is_utf8(locale)) {
    add_cause(off, "the locale is not UTF-8: words of other languages are mangled by Python programs");
    off.saw("environment", locale.empty() ? "no locale is set" : "LANG=" + locale);
    off.cure("export LANG=C.UTF-8", "for this shell; `sudo update-locale LANG=C.UTF-8` for all");
  }
  if (!off.evidence.empty()) return off;
  if (!clock || !has_environment) return unknown("`timedatectl show` or the environment could not be read");
  return ok().saw("timedatectl show", "synchronised").saw("environment", "locale " + locale);
}

constexpr Check kChecks[] = {
    {27, "earlier-wedge", Topic::kMemory, "The kernel's log shows no fault", "the machine hung or restarted by itself",
     earlier_wedge},
    {33, "desktop", Topic::kMemory, "No desktop takes memory", "1 to 6 GiB less than expected", desktop},
    {44, "variables", Topic::kPython, "No variables of copied tuning lists",
     "slow; cuDNN version incompatibility; no GPU found", variables},
    {48, "limits", Topic::kServer, "Limits for open files and locked memory are high enough",
     "too many open files; ibv_reg_mr: cannot allocate memory", resource_limits},
    {54, "clock-locale", Topic::kServer, "The clock is kept right and the locale is UTF-8",
     "certificate errors; mangled letters", clock_and_locale},
};

}  // namespace

std::span<const Check> host_checks() { return kChecks; }

}  // namespace hearth::doctor
