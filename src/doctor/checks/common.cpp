#include "doctor/checks/common.h"

#include <algorithm>

#include "doctor/explain/catalogue.h"

namespace hearth::doctor {

std::optional<Outcome> without_nvidia(const Context& context) {
  const std::optional<bool> has_nvidia = context.has_nvidia();
  if (!has_nvidia) return unknown("neither a driver nor /sys/bus/pci/devices could be read: is there an NVIDIA GPU?");
  if (!*has_nvidia) return does_not_apply("there is no NVIDIA GPU on the PCI bus");
  return std::nullopt;
}

std::optional<Outcome> unless_gb10(const Context& context) {
  if (std::optional<Outcome> outcome = without_nvidia(context)) return outcome;
  if (context.gpus().empty()) return unknown("the driver states no GPU: neither libcuda nor nvidia-smi answered");
  if (!context.is_gb10()) return does_not_apply("it is about the GB10; here is " + context.gpus()[0].name);
  return std::nullopt;
}

std::optional<Outcome> unless_unified(const Context& context) {
  if (std::optional<Outcome> outcome = without_nvidia(context)) return outcome;
  if (context.gpus().empty()) return unknown("the driver states no GPU: neither libcuda nor nvidia-smi answered");
  if (!context.is_unified()) return does_not_apply(context.gpus()[0].name + " has memory of its own");
  return std::nullopt;
}

std::optional<Outcome> seen_in_log(const Context& context, int row, Verdict found) {
  if (!context.program_log()) return std::nullopt;
  const std::vector<Match> matches = explain_row(*context.program_log(), row);
  if (matches.empty()) return std::nullopt;
  const KnownError& error = *matches[0].error;
  Outcome outcome{.verdict = found, .cause = error.cause};
  outcome.saw("log", trimmed(matches[0].line));
  for (const KnownCure& cure : error.cures) {
    outcome.by_hand(cure.command, cure.when.empty() ? cure.text : cure.when + ": " + cure.text);
  }
  return outcome;
}

Outcome without_log() {
  return unknown("no log to look at: the journal cannot be read; give one with --log FILE");
}

Outcome in_log(const Context& context, int row, Verdict found) {
  if (!context.program_log()) return without_log();
  if (std::optional<Outcome> outcome = seen_in_log(context, row, found)) return *outcome;
  return ok().saw("log", "no such line in the given log and the services' journal");
}

std::optional<Variable> variable_named(const Context& context, std::string_view name) {
  const auto at = std::ranges::find(context.variables(), name, &Variable::name);
  return at == context.variables().end() ? std::nullopt : std::optional(*at);
}

bool saw_packages(const Context& context, Outcome& outcome, const std::function<bool(const Package&)>& is_wanted) {
  const size_t before = outcome.evidence.size();
  for (const Package& package : context.packages()) {
    if (is_wanted(package)) outcome.saw(package.folder, package.name + " " + package.version);
  }
  return outcome.evidence.size() > before;
}

void add_cause(Outcome& outcome, const std::string& cause) {
  outcome.cause += (outcome.cause.empty() ? "" : "; ") + cause;
}

std::string joined(const std::vector<std::string>& words, const char* separator) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : separator) + word;
  return text;
}

}  // namespace hearth::doctor
