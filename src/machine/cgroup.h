// Cgroup: the group of processes the kernel counts this one in, and how much processor time it gives that group.
#pragma once
#include <optional>
#include <string>

#include "machine/root.h"

namespace hearth::machine {

/// The path of this process in the version 2 hierarchy ("/user.slice/..."), or "".
std::string cgroup_path(const Root& root);

/// CPUs' worth of time that this process may use, the smallest limit of its groups: cpu.max (version 2),
/// cpu.cfs_quota_us (version 1). Nothing when there is none.
std::optional<double> read_cpu_quota(const Root& root = {});

}  // namespace hearth::machine
