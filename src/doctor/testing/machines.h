// The recorded machines of tests/machines, and commands whose answers tests change.
#pragma once
#include <string>
#include <vector>

#include "doctor/context.h"
#include "machine/testing/recording.h"

namespace hearth::doctor::testing {

inline const std::vector<std::string> kHealthy = {"gb10", "spark64", "rtx4090", "h200", "cpu"};

/// The folder of a healthy machine.
std::string machine_folder(const std::string& name);

extern const Command kGauges, kApps, kReasons, kKernelLog, kServiceLog, kLastBoot, kLastEnd, kRuntimes, kUpdates;
/// Advice of guides that is known to be wrong or harmful: no cure may hold it.
extern const std::vector<std::string> kForbidden;
extern const std::string kSite;  // site-packages of an environment below the home folder

/// A package in kSite.
void install(machine::testing::Recording& machine, const std::string& name, const std::string& version,
             const std::string& tag = "py3-none-any");
/// What nvidia-smi says of the GB10's gauges.
void gauge(machine::testing::Recording& machine, int mhz, double watts, int degrees, int busy,
           bool is_persistent = true);

}  // namespace hearth::doctor::testing
