// Records the machine the doctor runs on as a folder that machine::Root reads, to be attached to a bug report: every
// file and tool answer that the checks read, and nothing else. Names of users and hosts, hardware addresses, public
// addresses and values that look like secrets are replaced.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/base/result.h"
#include "doctor/context.h"

namespace hearth::doctor {

struct Recorded {
  std::string folder;
  size_t files = 0, tools = 0;
};

/// kInvalidArgument when the folder exists and is not empty; kIo when it cannot be written. `source` is the machine
/// that is recorded: "" this one, or a recording (for tests).
Result<Recorded> record_machine(const std::string& folder, const Options& options, const std::string& source = "");

/// What replaces names: those of the users and of the host.
struct Names {
  std::vector<std::string> users;
  std::string host;
};
/// A text without them, without hardware addresses and secrets.
std::string scrubbed(std::string_view text, const Names& names);

}  // namespace hearth::doctor
