// Rows 20, 21 and 32: Docker, the NVIDIA Container Toolkit, and limits that do not limit.
#include "core/base/units.h"
#include "doctor/checks/all.h"
#include "doctor/checks/common.h"

namespace hearth::doctor {
namespace {

const Command kRuntimes = {"docker", "info", "--format", "{{json .Runtimes}}"};

// Docker prints "null" for what was asked before it says why.
std::string complaint_of(const machine::ToolOutput& said) {
  std::string last;
  for (const std::string& line : machine::lines_of(said.text)) {
    if (!trimmed(line).empty()) last = trimmed(line);
  }
  return last;
}

bool is_refused(const machine::ToolOutput& said) { return contains(lower(said.text), "permission denied"); }

Outcome runtime(const Context& context) {
  if (std::optional<Outcome> outcome = without_nvidia(context)) return *outcome;
  const std::optional<machine::ToolOutput>& said = context.run(kRuntimes);
  const std::optional<machine::ToolOutput>& toolkit = context.run({"nvidia-ctk", "--version"});
  if (!said) return ok("Docker is not installed, or does not answer: containers are not used");
  const std::string daemon = context.root().text("/etc/docker/daemon.json").value_or("");
  const bool has_runtime = contains(said->text, "nvidia") || contains(daemon, "nvidia");
  const bool has_cdi = !context.root().names("/etc/cdi").empty() || !context.root().names("/var/run/cdi").empty();
  if (said->exit_status == 0 && (has_runtime || has_cdi)) {
    return ok().saw("docker info", has_runtime ? "runtime nvidia is registered" : "GPUs are offered by CDI");
  }
  if (said->exit_status != 0) {
    return unknown(is_refused(*said) ? "this user may not ask Docker: see docker-access"
                                     : "Docker's daemon does not answer: " + complaint_of(*said));
  }
  Outcome missing = failure("Docker does not know the NVIDIA runtime: containers see no GPU");
  missing.saw("docker info", "runtimes " + trimmed(said->text));
  if (!toolkit) missing.cure("sudo apt install nvidia-container-toolkit", "the toolkit itself is missing");
  return missing.cure("sudo nvidia-ctk runtime configure --runtime=docker && sudo systemctl restart docker",
                      "registers the runtime; running containers end when Docker restarts")
      .by_hand("docker run --rm --gpus all nvidia/cuda:13.0.2-base-ubuntu24.04 nvidia-smi", "the test that it works");
}

Outcome access(const Context& context) {
  const std::optional<machine::ToolOutput>& said = context.run(kRuntimes);
  if (!said) return ok("Docker is not installed, or does not answer: containers are not used");
  if (said->exit_status != 0 && is_refused(*said)) {
    return warning("this user may not talk to Docker")
        .saw("docker info", complaint_of(*said))
        .cure("sudo usermod -aG docker \"$USER\"", "log in again after it; who is in that group is as good as root");
  }
  if (said->exit_status != 0) return unknown("Docker's daemon does not answer: " + complaint_of(*said));
  return ok().saw("docker info", "answers");
}

Outcome limits(const Context& context) {
  if (std::optional<Outcome> outcome = unless_unified(context)) return *outcome;
  const machine::HostMemory& memory = context.memory();
  Outcome limited = note("a memory limit of a cgroup (docker --memory, MemoryMax=) does not hold the GPU: what the "
                         "driver takes is charged to nobody (12 GiB were taken inside a limit of 8 GiB)");
  if (memory.cgroup_limit_bytes) {
    limited.saw("/sys/fs/cgroup", "memory.max " + format_bytes(*memory.cgroup_limit_bytes));
  }
  for (const Unit& unit : context.units()) {
    const std::optional<std::string> limit = machine::field_of(unit.text, "MemoryMax");
    if (limit) limited.saw("/etc/systemd/system/" + unit.name, "MemoryMax=" + *limit);
  }
  if (limited.evidence.empty()) return ok().saw("/sys/fs/cgroup", "no limit");
  return limited.advise("keep the limit for the program's own heap, and give the engine a budget of its own: Hearth's "
                        "[memory] budget, --gpu-memory-utilization of vLLM");
}

constexpr Check kChecks[] = {
    {20, "container-runtime", Topic::kContainers, "Docker can give containers the GPU",
     "unknown or invalid runtime name: nvidia; could not select device driver", runtime},
    {21, "docker-access", Topic::kContainers, "This user may use Docker",
     "permission denied while trying to connect to the Docker daemon socket", access},
    {32, "cgroup-limit", Topic::kContainers, "No memory limit that would be believed and does not hold",
     "the limit is set, and the machine hangs all the same", limits},
};

}  // namespace

std::span<const Check> container_checks() { return kChecks; }

}  // namespace hearth::doctor
