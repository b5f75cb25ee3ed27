// Starting the watchdog beside this process, and telling the kernel which of the two may go.
#pragma once
#include <string>

#include "core/base/result.h"
#include "governor/pressure/floors.h"

namespace hearth::governor {

/// Starts `program` (apps/hearth-watchdog) to watch this process; its id. It ends with this process. `meminfo`: the
/// file it reads. kNotFound when the program is not there, kIo when it cannot be started.
Result<int> start_watchdog(const std::string& program, const Floors& floors,
                           const std::string& meminfo = "/proc/meminfo");

/// Makes this process the first that the kernel's out-of-memory killer takes. False when the kernel would not.
bool offer_self_to_oom_killer();

}  // namespace hearth::governor
