// A check reads one thing about the machine and says what it means. Each row of docs/doctor.md is one small function in
// checks/; the registry lists them all. Nothing here changes the machine: cures are texts.
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hearth::doctor {

class Context;

/// kUnknown: what decides could not be read. It is never guessed and never fails a run.
enum class Verdict { kOk, kNote, kWarning, kFailure, kUnknown };
std::string_view name_of(Verdict verdict);  // "ok", "note", "warning", "failure", "unknown"

enum class Topic { kDriver, kToolchain, kPython, kContainers, kMemory, kPower, kStorage, kServer, kNetwork, kCluster };
std::string_view name_of(Topic topic);  // "driver and GPU", ...

/// What was read, and where: a path, a command or a variable.
struct Evidence {
  std::string where, what;
};

struct Cure {
  std::string command;     // exact; "" when it is advice
  std::string why;         // what it does, or the advice
  bool is_by_hand = false; // the fix script writes it as a comment: it ends something or needs a decision
};

struct Outcome {
  Verdict verdict = Verdict::kUnknown;
  std::string cause;  // in words; of an unknown: what could not be read
  std::vector<Evidence> evidence;
  std::vector<Cure> cures;

  Outcome& saw(std::string where, std::string what);
  Outcome& cure(std::string command, std::string why);
  Outcome& by_hand(std::string command, std::string why);
  Outcome& advise(std::string what);
};

Outcome ok(std::string cause = "");
Outcome note(std::string cause);
Outcome warning(std::string cause);
Outcome failure(std::string cause);
Outcome unknown(std::string what_could_not_be_read);
/// ok: the row says nothing about a machine like this one.
Outcome does_not_apply(std::string why);

struct Check {
  int row;              // of the table in docs/doctor.md
  const char* id;       // "driver-version"
  Topic topic;
  const char* title;    // "NVIDIA driver is new enough for CUDA 13"
  const char* symptom;  // what people see when it is broken
  Outcome (*run)(const Context&);
};

/// All of them, in the order of their rows.
std::span<const Check> checks();

struct Finding {
  const Check* check;
  Outcome outcome;
};

/// Runs every check, or those with the given ids and row numbers ("12"). A check that throws is an unknown.
std::vector<Finding> run_checks(const Context& context, std::span<const std::string> only = {});

/// 0 ok or note, 1 warning, 2 failure; unknown counts as ok.
int exit_code(std::span<const Finding> findings);

}  // namespace hearth::doctor
