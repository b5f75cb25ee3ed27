// Rows 34 to 40: clocks, power, heat, firmware, and whether the GPU does what its clock promises.
#include <algorithm>
#include <atomic>
#include <thread>

#include <fmt/format.h>

#include "doctor/checks/all.h"
#include "doctor/checks/ask.h"
#include "doctor/checks/common.h"

namespace hearth::doctor {
namespace {

const Command kReasons = {"nvidia-smi",
                          "--query-gpu=clocks_event_reasons.sw_thermal_slowdown,"
                          "clocks_event_reasons.hw_thermal_slowdown,clocks_event_reasons.hw_power_brake_slowdown",
                          "--format=csv,noheader"};

const Command kUpdates = {"fwupdmgr", "get-updates", "--no-metadata-check", "--no-unreported-check"};

std::string gauges(const machine::Gpu& gpu) {
  auto show = [](const auto& value, const char* unit) {
    return value ? fmt::format("{:g}{}", double(*value), unit) : "?";
  };
  return fmt::format("{} busy, {}, {}, {}", show(gpu.utilisation_percent, " %"), show(gpu.clock_mhz, " MHz"),
                     show(gpu.power_w, " W"), show(gpu.temperature_c, " C"));
}

// Work for the GPU for about two seconds: a question to the server on our port; nothing without such a server.
std::optional<Command> work_for_gpu(const Context& context) {
  constexpr int kTokens = 64;
  const std::optional<Listening> listening = who_listens(context);
  if (!listening || !listening->is_taken) return std::nullopt;
  const std::string base = base_url(context, *listening), model = served_model(context, base);
  return model.empty() ? std::nullopt : std::optional(question_for(base, model, kTokens));
}

// The gauges at the busiest moment while that work goes on. nvidia-smi takes its time: it sets the pace.
machine::Gpu gauges_during(const Command& work, machine::Gpu busiest) {
  std::atomic<bool> is_done = false;
  std::jthread worker([&] {
    (void)machine::Root().run(work, kAnswerLimit);
    is_done = true;
  });
  while (!is_done) {
    const std::vector<machine::Gpu> now = machine::read_gpus();
    if (now.empty()) break;
    if (now[0].utilisation_percent.value_or(0) >= busiest.utilisation_percent.value_or(0)) busiest = now[0];
  }
  return busiest;
}

machine::Gpu gauges_for_load(const Context& context) {
  const bool may_work = context.options().may_test && !context.root().is_recorded();
  const std::optional<Command> work = may_work ? work_for_gpu(context) : std::nullopt;
  return work ? gauges_during(*work, context.gpus()[0]) : context.gpus()[0];
}

Outcome load(const Context& context) {
  constexpr double kBusy = 90, kLowWatts = 22;
  constexpr int kLowClock = 900;
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  const machine::Gpu gpu = gauges_for_load(context);
  if (!gpu.utilisation_percent || !gpu.clock_mhz || !gpu.power_w) return unknown("nvidia-smi states no load");
  if (*gpu.utilisation_percent < kBusy) {
    return unknown("the GPU is idle (" + gauges(gpu) + "): run the doctor while it computes, or with --test beside a "
                   "server that does");
  }
  if (*gpu.clock_mhz > kLowClock && *gpu.power_w > kLowWatts) return ok().saw("nvidia-smi", gauges(gpu));
  return failure("the GPU is busy at a fraction of its clock and power, without a throttle flag: the power supply's or "
                 "the board's controller holds it in a low state")
      .saw("nvidia-smi", gauges(gpu))
      .advise("unplug the supply from the wall AND from the machine for 60 s; use its own 240 W supply and cable")
      .by_hand("sudo fwupdmgr refresh --force && sudo fwupdmgr update", "firmware for the controller; cold boot after")
      .advise("if it never draws more than about 30 W under load after that, have it replaced");
}

// A line of a unit that sets clocks, and what speaks against it; "" nothing does.
struct ClockLine {
  std::string unit, text, against;
};

std::vector<ClockLine> clock_lines(const Context& context) {
  std::vector<ClockLine> found;
  for (const Unit& unit : context.units()) {
    for (const std::string& line : machine::lines_of(unit.text)) {
      const bool locks = contains(line, "-lgc") || contains(line, "--lock-gpu-clocks");
      const bool boosts = contains(line, "boost-slider");
      if (!locks && !boosts) continue;
      ClockLine& clocks = found.emplace_back(ClockLine{unit.name, trimmed(line), ""});
      if (locks && contains(line, "3003")) {
        clocks.against = "clocks are locked at their nominal maximum: about 2.4 GHz is what holds under load, and "
                         "field practice is a cap of 2000 to 2200 MHz (70 instead of 86 C, decoding as fast)";
      } else if (boosts) {
        clocks.against = "what nvidia-smi's boost slider does on a GB10 is not known";
      }
    }
  }
  return found;
}

Outcome clock_locks(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  Outcome odd = note("");
  Outcome fine = ok("locks end with a reboot: a unit must set them again");
  for (const ClockLine& line : clock_lines(context)) {
    if (!line.against.empty()) add_cause(odd, line.against);
    (line.against.empty() ? fine : odd).saw(line.unit, line.text);
  }
  if (!odd.cause.empty()) {
    return odd.by_hand("sudo nvidia-smi -lgc 300,2200",
                       "a cap against heat and hangs, in the unit instead of the line above");
  }
  if (const std::optional<int> most = context.gpus()[0].max_clock_mhz) {
    fine.saw("nvidia-smi", "clocks.max.sm " + std::to_string(*most) + " MHz");
  }
  return fine;
}

Outcome hidden_state(const Context& context) {
  constexpr double kExpected = 230, kSlow = 180;
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  const std::optional<double> measured = context.options().measured_gb_per_s;
  if (!measured) return unknown("no measured read bandwidth: give one with --measured GB/s, from a benchmark");
  const std::string numbers = fmt::format("{:.0f} GB/s, {:.0f} expected", *measured, kExpected);
  if (*measured >= kSlow) return ok().saw("--measured", numbers);
  return warning("memory is read slower than a GB10 does at these clocks: a slow state without a flag was reported "
                 "(63 and 94 ms a step on equal machines)")
      .saw("--measured", numbers)
      .advise("switch the machine off, take the supply from the wall for 60 s, and measure again");
}

Outcome persistence(const Context& context) {
  if (std::optional<Outcome> outcome = without_nvidia(context)) return *outcome;
  if (context.gpus().empty() || !context.gpus()[0].is_persistent) {
    return unknown("nvidia-smi states no persistence mode");
  }
  if (*context.gpus()[0].is_persistent) return ok().saw("nvidia-smi", "persistence mode on");
  return note("the driver lets the GPU go when the last program ends: each first call waits for it")
      .saw("nvidia-smi", "persistence mode off")
      .cure("sudo systemctl enable --now nvidia-persistenced", "keeps it, also after a reboot")
      .cure("sudo nvidia-smi -pm 1", "the same until the next reboot, where that service is missing");
}

// The power and thermal driver of GB10 boards, where somebody installed it.
std::optional<std::string> hot_sensor(const Context& context) {
  for (const std::string& name : context.root().names("/sys/class/hwmon")) {
    const std::string folder = "/sys/class/hwmon/" + name;
    if (!contains(context.root().text(folder + "/name").value_or(""), "spbm")) continue;
    if (trimmed(context.root().text(folder + "/prochot").value_or("0")) == "1") return folder + "/prochot";
  }
  return std::nullopt;
}

Outcome heat(const Context& context) {
  constexpr double kHot = 86;
  if (std::optional<Outcome> outcome = without_nvidia(context)) return *outcome;
  const std::string reasons = trimmed(context.said(kReasons).value_or(""));
  const std::optional<double> degrees =
      context.gpus().empty() ? std::nullopt : context.gpus()[0].temperature_c;
  if (reasons.empty() && !degrees) return unknown("nvidia-smi states neither temperature nor throttle reasons");
  std::string numbers = degrees ? fmt::format("{:g} C", *degrees) : "temperature unknown";
  // "Active" would also be found in "Not Active".
  std::string slowdowns = reasons;
  for (size_t at; (at = slowdowns.find("Not Active")) != slowdowns.npos;) slowdowns.erase(at, 10);
  const std::optional<std::string> sensor = hot_sensor(context);
  if (degrees.value_or(0) <= kHot && !contains(slowdowns, "Active") && !sensor) return ok().saw("nvidia-smi", numbers);
  Outcome hot = warning("the GPU is hot enough to slow down, and machines restarted without a word at 86 to 92 C");
  hot.saw("nvidia-smi", numbers + (reasons.empty() ? "" : "; slowdown of software, hardware, power: " + reasons));
  if (sensor) hot.saw(*sensor, "1");
  hot.cure("sudo nvidia-smi -lgc 300,2200", "caps the clock: 70 instead of 86 C at the same decoding speed");
  return hot.advise("give it air at its back and underside");
}

Outcome firmware(const Context& context) {
  if (std::optional<Outcome> outcome = unless_gb10(context)) return *outcome;
  const std::optional<machine::ToolOutput>& updates = context.run(kUpdates);
  const std::string version = trimmed(context.root().text("/sys/class/dmi/id/bios_version").value_or(""));
  bool has_timeout = false;
  for (const std::string& line : machine::lines_of(context.kernel_log().value_or(""))) {
    has_timeout |= contains(line, "DOE") && (contains(line, "mailbox") || contains(line, "timed out"));
  }
  if (!updates && !has_timeout) return unknown("`fwupdmgr get-updates` did not answer");
  const bool is_old = updates && updates->exit_status == 0 && contains(updates->text, "New version");
  if (!is_old && !has_timeout) return ok().saw("fwupdmgr", "no update known").saw("bios_version", version);
  Outcome old = note("the firmware is not the newest; old ones lose the network card and draw more when idle");
  if (has_timeout) old.saw("kernel log", "DOE mailbox timeout");
  if (is_old) old.saw("fwupdmgr get-updates", "updates are offered");
  return old.saw("bios_version", version)
      .by_hand("sudo fwupdmgr refresh --force && sudo fwupdmgr update",
               "then switch off and on: a restart is not enough");
}

Outcome tensor_cores(const Context& context) {
  if (std::optional<Outcome> outcome = without_nvidia(context)) return *outcome;
  return in_log(context, 40, Verdict::kNote);
}

constexpr Check kChecks[] = {
    {34, "low-power", Topic::kPower, "Under load the GPU reaches its clock and power",
     "94 to 96 % busy at 15 to 18 W and 500 to 850 MHz", load},
    {35, "clock-locks", Topic::kPower, "Clock locks are a cap, and come back after a reboot", "slower after a reboot",
     clock_locks},
    {36, "hidden-state", Topic::kPower, "Memory is read as fast as it should be",
     "decoding 1.5 times slower at equal clocks", hidden_state},
    {37, "persistence", Topic::kPower, "The driver stays loaded between programs", "the first call is slow",
     persistence},
    {38, "heat", Topic::kPower, "The GPU is not hot", "slow under load; restarts without a log", heat},
    {39, "firmware", Topic::kPower, "Firmware is up to date",
     "DOE mailbox timeout; the network card draws power when idle", firmware},
    {40, "tensor-cores", Topic::kPower, "Kernels use the tensor cores", "slow although FP16; low sm in nvidia-smi dmon",
     tensor_cores},
};

}  // namespace

std::span<const Check> power_checks() { return kChecks; }

}  // namespace hearth::doctor
