// Context: what the checks share: the machine's root, the user's options, and facts that are read once and kept.
// Not thread-safe: one run of the doctor owns it.
#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "doctor/packages.h"
#include "machine/gpu.h"
#include "machine/memory.h"
#include "machine/root.h"

namespace hearth::doctor {

using machine::Command;

struct Options {
  std::string models_dir;               // "": $XDG_DATA_HOME/hearth/models, ~/.local/share/hearth/models
  int port = 8188;                      // where Hearth listens, or will
  std::vector<std::string> look_in;     // further folders with virtual environments, ComfyUI, llama.cpp
  std::string log;                      // a program's log, for the rows that only show there
  int64_t planned_bytes = 0;            // what is about to be loaded; 0: nothing
  std::optional<double> measured_gb_per_s;  // read bandwidth of the GPU, from a benchmark
  bool may_test = false;                // read a part of a model, ask the server for a token
};

/// A variable of this process, or of a systemd unit that runs an inference server.
struct Variable {
  std::string name, value, where;
};

struct Unit {
  std::string name, text;
};

/// One network interface.
struct Interface {
  std::string name, state;              // "UP", "DOWN", "UNKNOWN"
  std::vector<std::string> addresses;   // IPv4 first
  int64_t mtu = 0;
  bool is_physical = false;             // a device of its own: no bridge, no tunnel
};

/// What a mounted file system is.
struct Mount {
  std::string device, point, type, options;
};

class Context {
 public:
  Context(machine::Root root, Options options) : root_(std::move(root)), options_(std::move(options)) {}

  const machine::Root& root() const { return root_; }
  const Options& options() const { return options_; }

  /// Runs a tool once. Nothing when it is missing or hangs.
  const std::optional<machine::ToolOutput>& run(
      const Command& command, std::chrono::milliseconds limit = machine::Root::kToolLimit) const;
  /// What it printed; nothing also when it failed.
  std::optional<std::string> said(const Command& command) const;

  std::string architecture() const;  // "aarch64", "x86_64"; "" unknown
  const std::vector<machine::Gpu>& gpus() const;
  const machine::NvidiaDriver& driver() const;
  const machine::HostMemory& memory() const;
  std::optional<int64_t> page_bytes() const;

  /// False only when the PCI bus was read and there is no NVIDIA device on it.
  std::optional<bool> has_nvidia() const;
  /// A GPU of compute capability 12.1: GB10.
  bool is_gb10() const;
  /// CPU and GPU share one memory: as the driver states it, else by capability 12.1 without memory of its own.
  bool is_unified() const;

  const std::vector<Variable>& variables() const;
  /// Of this process; nothing when unset.
  std::optional<std::string> variable(std::string_view name) const;
  std::string home() const { return variable("HOME").value_or(""); }
  std::string models_dir() const;
  const std::vector<Unit>& units() const;
  const std::vector<Package>& packages() const;
  /// Of that name (lower case, '-' for '_'), in every place.
  std::vector<Package> packages_named(std::string_view name) const;
  const std::vector<Interface>& interfaces() const;
  std::optional<Mount> mount_of(const std::string& path) const;

  /// Lines of this boot's kernel log; nothing when nobody lets us read it.
  const std::optional<std::string>& kernel_log() const;
  /// The given log and what services of inference servers wrote since boot; nothing when there is neither.
  const std::optional<std::string>& program_log() const;

 private:
  machine::Root root_;
  Options options_;
  mutable std::map<Command, std::optional<machine::ToolOutput>> outputs_;
  mutable std::optional<std::vector<machine::Gpu>> gpus_;
  mutable std::optional<machine::NvidiaDriver> driver_;
  mutable std::optional<machine::HostMemory> memory_;
  mutable std::optional<std::vector<Variable>> variables_;
  mutable std::optional<std::vector<Unit>> units_;
  mutable std::optional<std::vector<Package>> packages_;
  mutable std::optional<std::vector<Interface>> interfaces_;
  mutable std::optional<std::optional<std::string>> kernel_log_, program_log_;
};

/// Text without blanks at its ends.
std::string trimmed(std::string_view text);
bool contains(std::string_view text, std::string_view part);
std::string lower(std::string_view text);
std::vector<std::string> words_of(std::string_view text);

}  // namespace hearth::doctor
