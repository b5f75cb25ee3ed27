// hearth workflow check | run: prompt graphs in API format, from files or folders of them.
#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <iostream>

#include <fmt/format.h>

#include "commands.h"
#include "core/base/files.h"
#include "core/base/log.h"
#include "core/base/units.h"
#include "formats/json/json.h"
#include "picture_host.h"
#include "picture_progress.h"

namespace hearth::app {
namespace {

constexpr int64_t kMaxWorkflowBytes = int64_t{64} << 20;

std::atomic<bool> stop_asked{false};  // set by the signal handler

struct WorkflowOptions {
  std::vector<std::string> files;
  bool is_quiet = false;
};

std::vector<std::string> files_of(const std::vector<std::string>& asked) {
  std::vector<std::string> files;
  for (const std::string& path : asked) {
    if (!fs::is_directory(path)) {
      files.push_back(path);
      continue;
    }
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(path)) {
      if (entry.is_regular_file() && entry.path().extension() == ".json") files.push_back(entry.path().string());
    }
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) throw Error(Code::kNotFound, "no .json file there");
  return files;
}

// Throws Error saying what is no prompt about the file.
Value read_prompt(const std::string& file) {
  Value value = std::move(json::parse(read_text(file, kMaxWorkflowBytes).value())).value();
  if (value.is_object() && value.find("nodes") && value.find("links")) {
    throw Error(Code::kInvalidArgument, "this is the editor's format; export it with Workflow > Export (API)");
  }
  const Value* prompt = value.is_object() ? value.find("prompt") : nullptr;  // the body of a POST /prompt
  return prompt && prompt->is_object() && !prompt->find("class_type") ? *prompt : value;
}

std::vector<std::string> problems_of(const workflow::Verdict& verdict, const Value& prompt,
                                     const workflow::Registry& registry) {
  std::vector<std::string> lines;
  if (const auto graph = workflow::Graph::parse(prompt)) {
    for (const std::string& missing : workflow::missing_classes(*graph, registry)) {
      const workflow::MissingClass about = workflow::describe_missing(missing, registry);
      const std::string origin = !about.purpose.empty() ? fmt::format("; it is one of ComfyUI's for {}", about.purpose)
                                 : !about.pack.empty() ? fmt::format("; it comes from {} ({})", about.pack, about.url)
                                                       : "";
      lines.push_back(
          fmt::format("node class '{}' is not here{}{}", missing, origin,
                      about.nearest.empty() ? "" : fmt::format("; nearest here: {}", about.nearest)));
    }
  }
  for (const auto& [id, node] : verdict.node_errors.as_object()) {
    for (const Value& error : node.at("errors").as_list()) {
      lines.push_back(fmt::format("node {} ({}): {}: {}", id, node.at("class_type").as_string(),
                                  error.at("message").as_string(), error.at("details").as_string()));
    }
  }
  if (lines.empty() && !verdict.is_valid) lines.push_back(verdict.error.at("message").as_string());
  return lines;
}

workflow::Places places_of(const Common& common) {
  return picture_places(read_config(common.config_file, {}).pictures);
}

int check(const Common& common, const WorkflowOptions& options) {
  const workflow::Places places = places_of(common);
  const workflow::Registry registry = workflow::native_registry();
  int bad = 0;
  for (const std::string& file : files_of(options.files)) {
    std::vector<std::string> problems;
    try {
      const Value prompt = read_prompt(file);
      workflow::Graph graph = workflow::Graph::parse(prompt).value();
      problems = problems_of(workflow::validate(graph, registry, places), prompt, registry);
    } catch (const Error& e) {
      problems.push_back(e.message());
    }
    bad += problems.empty() ? 0 : 1;
    std::cout << fmt::format("{}: {}\n", file, problems.empty() ? "ok" : "cannot run");
    for (const std::string& line : problems) std::cout << "  " << line << '\n';
  }
  return bad == 0 ? 0 : 1;
}

void print_files(const workflow::JobResult& done, const workflow::Places& places) {
  for (const auto& [id, ui] : done.outputs.as_object()) {
    const Value* images = ui.find("images");
    for (size_t i = 0; images && i < images->as_list().size(); ++i) {
      const Value& image = images->as_list()[i];
      const std::string* folder = places.folder(image.at("type").as_string());
      std::cout << (fs::path(folder ? *folder : "") / image.at("subfolder").as_string() /
                    image.at("filename").as_string()).string() << '\n';
    }
  }
}

// False when it cannot run or fails, with the reason on standard error.
bool run_file(PictureHost& pictures, const std::string& file, bool is_quiet) {
  Value prompt = read_prompt(file);
  const workflow::Verdict verdict = pictures.studio().check(prompt);
  const std::vector<std::string> problems = problems_of(verdict, prompt, pictures.studio().registry());
  for (const std::string& line : problems) std::cerr << file << ": " << line << '\n';
  if (!verdict.is_valid) return false;
  PictureProgress progress(is_quiet ? TerminalPictures::kNone : terminal_pictures(), is_quiet);
  const workflow::JobResult done = pictures.studio().run(fs::path(file).stem().string(), prompt, verdict.outputs,
                                                         Value::object(), progress, stop_asked);
  if (done.end == workflow::JobResult::End::kInterrupted) throw Error(Code::kCancelled, "stopped");
  const bool has_failed = done.end == workflow::JobResult::End::kError;
  if (has_failed) std::cerr << file << ": " << progress.error() << '\n';
  print_files(done, pictures.studio().places());
  return !has_failed;
}

int run(const Common& common, const WorkflowOptions& options) {
  Host host(read_config(common.config_file, {}), "cpu");
  PictureHost pictures(host, picture_places(host.config().pictures), nullptr);
  struct sigaction action {};
  action.sa_handler = [](int) { stop_asked = true; };
  sigaction(SIGINT, &action, nullptr);
  int bad = 0;
  for (const std::string& file : files_of(options.files)) {
    try {
      bad += run_file(pictures, file, options.is_quiet) ? 0 : 1;
    } catch (const Error& e) {
      if (e.code() == Code::kCancelled) throw;
      std::cerr << file << ": " << e.message() << '\n';
      ++bad;
    }
  }
  return bad == 0 ? 0 : 1;
}

}  // namespace

Action add_workflow(CLI::App& app, Common& common) {
  auto o = std::make_shared<WorkflowOptions>();
  app.require_subcommand(1);
  CLI::App* checks = app.add_subcommand("check", "Say whether prompts can run here, and what they lack");
  CLI::App* runs = app.add_subcommand("run", "Run prompts and print the files they made");
  for (CLI::App* command : {checks, runs}) {
    command->add_option("files", o->files, "Prompts in API format, or folders of them")->required();
  }
  runs->add_flag("-q,--quiet", o->is_quiet, "Print file names only");
  return [o, checks, &common] { return checks->parsed() ? check(common, *o) : run(common, *o); };
}

}  // namespace hearth::app
