// Root: where facts about a machine come from. The live one reads /proc and /sys and runs tools; a recorded one is a
// folder that holds the same files and the tools' outputs, so that a machine that is not at hand drives the same code.
// Unknown is std::nullopt, never a guess. Immutable; any number of threads may read.
#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::machine {

using Command = std::vector<std::string>;  // a program found on PATH and its arguments; no shell

struct ToolOutput {
  int exit_status = 0;  // 128 + signal when a signal ended it
  std::string text;     // standard output, then standard error
};

/// Sees what is read through a Root, for making a recording of a machine: see record.h.
class Witness {
 public:
  virtual ~Witness() = default;
  virtual void saw_text(std::string_view path, const std::string& text) = 0;
  virtual void saw_names(std::string_view folder, const std::vector<std::string>& names) = 0;
  virtual void saw_link(std::string_view path, const std::string& target) = 0;
  virtual void saw_output(const Command& command, const ToolOutput& output) = 0;
};

class Root {
 public:
  /// The machine this process runs on.
  Root() = default;
  /// The same, or a recording; `witness` outlives it and is told of what exists, not of what is missing. One thread.
  explicit Root(Witness& witness, std::string folder = "") : folder_(std::move(folder)), witness_(&witness) {}
  /// A recording: `<folder>/proc/meminfo`, `<folder>/sys/...`, and `<folder>/tools/<tool_file(command)>`, whose first
  /// line is "exit N" and whose rest is the output.
  explicit Root(std::string folder) : folder_(std::move(folder)) {}

  bool is_recorded() const { return !folder_.empty(); }
  /// A whole file of at most 4 MiB by its absolute path; nothing when it is absent or cannot be read.
  std::optional<std::string> text(std::string_view path) const;
  /// The first bytes of a file of any size, at most `size`.
  std::optional<std::string> head(std::string_view path, size_t size) const;
  /// Names in a folder, sorted; empty when it is absent.
  std::vector<std::string> names(std::string_view folder) const;
  bool has(std::string_view path) const;
  /// What a link points to.
  std::optional<std::string> link(std::string_view path) const;
  /// Runs a tool; nothing when it does not exist, was not recorded or took longer than `limit`.
  std::optional<ToolOutput> run(const Command& command, std::chrono::milliseconds limit = kToolLimit) const;
  /// The path as this process can open it.
  std::string resolve(std::string_view path) const { return folder_ + std::string(path); }

  static constexpr std::chrono::milliseconds kToolLimit{5000};

 private:
  std::string folder_;
  Witness* witness_ = nullptr;
};

/// The name under which a recording keeps a command's output: words joined by '_', odd characters as '_'.
std::string tool_file(const Command& command);

/// First line without the line break.
std::string first_line(std::string_view text);
/// The lines of a text, without line breaks.
std::vector<std::string> lines_of(std::string_view text);
/// "key: value" or "key = value" of a line-oriented text; nothing when no line starts with the key.
std::optional<std::string> field_of(std::string_view text, std::string_view key);

}  // namespace hearth::machine
