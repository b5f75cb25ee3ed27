#include "doctor_flags.h"

#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <utility>

#include <fmt/format.h>

#include "core/base/files.h"
#include "core/base/nearest.h"
#include "core/base/units.h"
#include "doctor/environment.h"
#include "doctor/explain/catalogue.h"
#include "doctor/record.h"
#include "doctor/report/report.h"
#include "formats/json/json.h"

namespace hearth::app {
namespace {

using doctor::Context;
using doctor::TextStyle;

constexpr int64_t kMostLog = 64 * MiB;

struct Flags {
  // Where it looks.
  std::string machine, models, log, needs;
  std::vector<std::string> look_in, only;
  int port = 0;
  double measured = 0;
  // What it answers.
  std::string environment, explain, record, fix_script;
  bool explains = false, tests = false, as_json = false, as_markdown = false, shows_all = false, shows_tuning = false;
};

void add_where(CLI::App& app, Flags& flags) {
  app.add_option("--look-in", flags.look_in, "Further folder with environments, ComfyUI or llama.cpp; repeatable")
      ->allow_extra_args(false);
  app.add_option("--models", flags.models, "Folder that models lie in");
  app.add_option("--port", flags.port, "Port that the server listens on, or will")->check(CLI::Range(1, 65535));
  app.add_option("--machine", flags.machine, "A folder of --record, in place of this machine")
      ->check(CLI::ExistingDirectory);
}

std::string read_all(const std::string& path) {
  if (path == "-") return {std::istreambuf_iterator<char>(std::cin), {}};
  return read_text(path, kMostLog).value();
}

doctor::Options options_of(const Flags& flags, const DoctorDefaults& defaults) {
  // The configuration of this machine says nothing about a recorded one.
  doctor::Options options = flags.machine.empty() ? defaults.options() : doctor::Options();
  if (!flags.models.empty()) options.models_dir = flags.models;
  if (flags.port != 0) options.port = flags.port;
  options.look_in = flags.look_in;
  if (!flags.log.empty()) options.log = read_all(flags.log);
  if (!flags.needs.empty()) options.planned_bytes = parse_bytes(flags.needs).value();
  if (flags.measured > 0) options.measured_gb_per_s = flags.measured;
  options.may_test = flags.tests;
  return options;
}

doctor::Sheet sheet_of(const Flags& flags, const DoctorDefaults& defaults) {
  doctor::Sheet sheet = defaults.sheet();
  if (!flags.machine.empty()) sheet.models.clear();
  return sheet;
}

TextStyle style_of(const Flags& flags) {
  const bool is_terminal = ::isatty(STDOUT_FILENO) && !std::getenv("NO_COLOR");
  return {.has_colour = is_terminal, .shows_all = flags.shows_all, .shows_tuning = flags.shows_tuning};
}

void print(const Value& value) { std::cout << json::write(value, {.indent = 2}) << '\n'; }

// "-" is standard input, "@FILE" a file, everything else the text itself.
int explain(const Flags& flags) {
  const bool is_file = flags.explain.starts_with("@");
  const bool is_input = flags.explain.empty() || flags.explain == "-";
  const std::string text = is_file ? read_all(flags.explain.substr(1)) : is_input ? read_all("-") : flags.explain;
  const std::vector<doctor::Match> matches = doctor::explain(text);
  if (flags.as_json) {
    print(doctor::matches_as_value(matches));
  } else {
    std::cout << doctor::matches_as_text(matches, style_of(flags));
  }
  return matches.empty() ? 1 : 0;
}

int environment(const Flags& flags, const Context& context) {
  const doctor::EnvironmentAdvice advice = doctor::environment_for(context, flags.environment).value();
  if (flags.as_json) {
    print(doctor::as_value(advice));
  } else {
    std::cout << doctor::as_shell(advice);
  }
  return 0;
}

int record(const Flags& flags, const doctor::Options& options) {
  const doctor::Recorded made = doctor::record_machine(flags.record, options, flags.machine).value();
  std::cout << fmt::format("recorded {} files and {} tools' answers in {}\nlook through it before you send it: names, "
                           "addresses and secrets that were recognised are replaced\n",
                           made.files, made.tools, made.folder);
  return 0;
}

// A misspelt row would look like a healthy machine.
void check_rows(const std::vector<std::string>& only) {
  std::vector<std::string> ids;
  for (const doctor::Check& check : doctor::checks()) {
    ids.push_back(check.id);
    ids.push_back(std::to_string(check.row));
  }
  for (const std::string& word : only) {
    if (std::find(ids.begin(), ids.end(), word) != ids.end()) continue;
    const std::string nearest = nearest_name(word, ids);
    throw Error(Code::kInvalidArgument,
                fmt::format("--only: no check '{}'{}; `--all` lists them", word,
                            nearest.empty() ? "" : ", did you mean '" + nearest + "'?"));
  }
}

int examine(const Flags& flags, const Context& context, doctor::Sheet sheet) {
  check_rows(flags.only);
  const doctor::Report report = doctor::examine(context, flags.only, std::move(sheet));
  if (!flags.fix_script.empty()) {
    write_text(flags.fix_script, doctor::fix_script(report.findings)).value();
    std::cerr << "wrote " << flags.fix_script << ": read it before you run it\n";
  }
  if (flags.as_json) {
    print(doctor::as_value(report));
  } else {
    std::cout << (flags.as_markdown ? doctor::as_markdown(report) : doctor::as_text(report, style_of(flags)));
  }
  return doctor::exit_code(report.findings);
}

}  // namespace

std::function<int()> add_doctor_flags(CLI::App& app, DoctorDefaults defaults) {
  auto flags = std::make_shared<Flags>();
  add_where(app, *flags);
  app.add_option("--needs", flags->needs, "Memory that you are about to load, such as 70G: does the host keep enough?");
  app.add_option("--log", flags->log, "A program's log, for what only shows there; - is standard input");
  app.add_option("--measured", flags->measured, "Read bandwidth in GB/s that a benchmark measured")
      ->check(CLI::PositiveNumber);
  app.add_flag("--test", flags->tests,
               "Also read 256 MiB of a model, and let the server answer two short questions, which may load one");
  app.add_option("--only", flags->only, "Only these checks, by row or name; repeatable")->allow_extra_args(false);
  app.add_flag("--all", flags->shows_all, "List what is fine as well");
  app.add_flag("--tuning", flags->shows_tuning, "Settings of the host, with what speaks for and against each");
  app.add_flag("--json", flags->as_json, "Everything as JSON");
  app.add_flag("--markdown", flags->as_markdown, "The machine sheet with the findings as a page");
  app.add_option("--fix-script", flags->fix_script, "Write the cures as a shell script to review; nothing is run");
  app.add_option("--record", flags->record, "Record this machine in a new folder, for a bug report");
  app.add_option("--env", flags->environment, "Variables that a stack needs here: pytorch, triton, vllm, comfyui, "
                                              "build");
  CLI::Option* explains =
      app.add_option("--explain", flags->explain, "What an error means: its text, @FILE, or - for standard input")
          ->expected(0, 1);
  app.footer("Exit code: 0 fine or notes, 1 a warning, 2 a failure. What could not be read is unknown and never "
             "fails.\n"
             "With --explain: 0 something is known, 1 nothing is.");
  return [=, defaults = std::move(defaults)] {
    if (explains->count() > 0) return explain(*flags);
    const doctor::Options options = options_of(*flags, defaults);
    if (!flags->record.empty()) return record(*flags, options);
    const Context context(machine::Root(flags->machine), options);
    if (!flags->environment.empty()) return environment(*flags, context);
    return examine(*flags, context, sheet_of(*flags, defaults));
  };
}

std::function<int()> add_info_flags(CLI::App& app, DoctorDefaults defaults) {
  auto flags = std::make_shared<Flags>();
  add_where(app, *flags);
  app.add_flag("--json", flags->as_json, "As JSON");
  app.add_flag("--markdown", flags->as_markdown, "As a table for a page");
  return [=, defaults = std::move(defaults)] {
    const Context context(machine::Root(flags->machine), options_of(*flags, defaults));
    doctor::Sheet sheet = sheet_of(*flags, defaults);
    doctor::read_sheet(context, sheet);
    if (flags->as_json) {
      print(doctor::as_value(sheet));
    } else {
      std::cout << (flags->as_markdown ? doctor::sheet_as_markdown(sheet) : doctor::sheet_as_text(sheet));
    }
    return 0;
  };
}

}  // namespace hearth::app
