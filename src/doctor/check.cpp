#include "doctor/check.h"

#include <algorithm>
#include <exception>
#include <utility>

#include "doctor/checks/all.h"

namespace hearth::doctor {
namespace {

Outcome outcome(Verdict verdict, std::string cause) { return {.verdict = verdict, .cause = std::move(cause)}; }

std::vector<Check> gather() {
  std::vector<Check> all;
  for (std::span<const Check> some :
       {architecture_checks(), driver_checks(), toolchain_checks(), python_checks(), package_checks(),
        container_checks(), memory_checks(), neighbour_checks(), host_checks(), power_checks(), storage_checks(),
        server_checks(), network_checks(), cluster_checks()}) {
    all.insert(all.end(), some.begin(), some.end());
  }
  std::ranges::sort(all, {}, &Check::row);
  return all;
}

Outcome run_guarded(const Check& check, const Context& context) {
  try {
    return check.run(context);
  } catch (const std::exception& e) {
    return unknown(std::string("the check could not finish: ") + e.what());
  }
}

}  // namespace

std::string_view name_of(Verdict verdict) {
  constexpr std::string_view kNames[] = {"ok", "note", "warning", "failure", "unknown"};
  return kNames[static_cast<int>(verdict)];
}

std::string_view name_of(Topic topic) {
  constexpr std::string_view kNames[] = {"driver and GPU", "toolchain", "Python stacks", "containers", "memory",
                                         "power and clocks", "storage", "server", "network", "two or more machines"};
  return kNames[static_cast<int>(topic)];
}

Outcome& Outcome::saw(std::string where, std::string what) {
  evidence.push_back({std::move(where), std::move(what)});
  return *this;
}

Outcome& Outcome::cure(std::string command, std::string why) {
  cures.push_back({std::move(command), std::move(why)});
  return *this;
}

Outcome& Outcome::by_hand(std::string command, std::string why) {
  cures.push_back({std::move(command), std::move(why), true});
  return *this;
}

Outcome& Outcome::advise(std::string what) { return by_hand("", std::move(what)); }

Outcome ok(std::string cause) { return outcome(Verdict::kOk, std::move(cause)); }
Outcome note(std::string cause) { return outcome(Verdict::kNote, std::move(cause)); }
Outcome warning(std::string cause) { return outcome(Verdict::kWarning, std::move(cause)); }
Outcome failure(std::string cause) { return outcome(Verdict::kFailure, std::move(cause)); }
Outcome unknown(std::string what) { return outcome(Verdict::kUnknown, std::move(what)); }
Outcome does_not_apply(std::string why) { return ok("does not apply: " + std::move(why)); }

std::span<const Check> checks() {
  static const std::vector<Check> all = gather();
  return all;
}

std::vector<Finding> run_checks(const Context& context, std::span<const std::string> only) {
  std::vector<Finding> findings;
  for (const Check& check : checks()) {
    const bool is_wanted = only.empty() || std::ranges::count(only, check.id) ||
                           std::ranges::count(only, std::to_string(check.row));
    if (is_wanted) findings.push_back({&check, run_guarded(check, context)});
  }
  return findings;
}

int exit_code(std::span<const Finding> findings) {
  int code = 0;
  for (const Finding& finding : findings) {
    if (finding.outcome.verdict == Verdict::kWarning) code = std::max(code, 1);
    if (finding.outcome.verdict == Verdict::kFailure) code = 2;
  }
  return code;
}

}  // namespace hearth::doctor
